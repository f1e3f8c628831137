import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/*
 * A part of the bundle only: stacks name files and lines of the sources. `node --enable-source-maps` does the same, but reads the
 * map at every start, which takes as long as all the rest of a `list`; this reads it for the first stack that is shown.
 */

const bundle = new Error().stack?.match(/file:\/\/\S+?(?=:\d+:\d+)/)?.[0] ?? '';
const place = new RegExp(`${bundle.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}:(\\d+):(\\d+)`);
let map: SourceMap | undefined;

Error.prepareStackTrace = (error, frames) => {
  const lines = frames.map((frame) => `\n    at ${String(frame).replace(place, sourceOf)}`);
  return `${Error.prototype.toString.call(error)}${lines.join('')}`;
};

function sourceOf(written: string, line: string, column: string): string {
  const found = readMap()?.findEntry(Number(line) - 1, Number(column) - 1);
  if (found === undefined || !('originalSource' in found)) return written;
  const { originalSource, originalLine, originalColumn } = found;
  return `${join(dirname(fileURLToPath(bundle)), originalSource)}:${originalLine + 1}:${originalColumn + 1}`;
}

function readMap(): SourceMap | undefined {
  try {
    const text = readFileSync(fileURLToPath(bundle), 'latin1');
    map ??= new SourceMap(
      JSON.parse(
        Buffer.from(text.slice(text.lastIndexOf('base64,') + 'base64,'.length), 'base64').toString('utf8'),
      ),
    );
  } catch {
    // A bundle that was replaced meanwhile: its own lines have to do.
  }
  return map;
}
