import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/*
 * Maps stacks of the bundle to its sources, on the first stack shown. `node --enable-source-maps` reads the map at
 * every start, which takes a tenth of a `list`.
 */

/** Set by bundle.ts, here and in the map. */
declare const bundleId: string;

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

/** Undefined if the bundle was replaced since the start; then its own lines are shown. */
function readMap(): SourceMap | undefined {
  if (map !== undefined) return map;
  try {
    const text = readFileSync(`${fileURLToPath(bundle)}.map`, 'utf8');
    const payload = JSON.parse(text) as ConstructorParameters<typeof SourceMap>[0] & { bundleId?: string };
    if (payload.bundleId === bundleId) map = new SourceMap(payload);
  } catch {
    // The file is gone.
  }
  return map;
}
