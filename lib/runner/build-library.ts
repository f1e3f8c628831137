import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import type { Built } from './load-library.ts';
import { stampOf } from './quick-answer.ts';

/** Packages that only some runs use: they are loaded when they are, from node_modules. */
const external = ['zx', 'dotenv', 'picomatch', 'esbuild'];

/**
 * Builds all that the runner's door hands out, with the packages that every run uses, into one function. Takes some 100 ms.
 * `door` is the path of runner.ts: files beside the sources are found from there.
 */
export function buildLibrary(door: string): Built {
  const folder = dirname(door);
  const { outputFiles, metafile } = buildSync({
    entryPoints: [join(folder, 'library.ts')],
    absWorkingDir: folder,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    target: `node${process.versions.node}`,
    charset: 'ascii',
    external,
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(door).href) },
    // What is imported late becomes a part of the file that runs late.
    supported: { 'dynamic-import': false },
    banner: { js: '(function (require, exports, module) {' },
    footer: { js: '})' },
    logLevel: 'silent',
  });
  // Left in comments only: with one byte for each letter the file is read as fast as can be.
  const code = (outputFiles[0]?.text ?? '').replace(/[\u0080-\uffff]/g, '?');
  const sources = Object.keys(metafile.inputs).map((input) => stampOf(resolve(folder, input)));
  return { code, id: createHash('sha256').update(code).digest('hex').slice(0, 16), sources };
}

/** Removes what is kept of libraries whose door is not there any more, so that nobody has to. `folder`: where one of them is kept. */
export function forgetGoneLibraries(folder: string, file: string): void {
  const memories = dirname(folder);
  for (const name of readdirSync(memories)) {
    const path = join(memories, name, file);
    if (!existsSync(path)) continue;
    const [, door] = /"door":"([^"]*)"[^\n]*\n$/.exec(readFileSync(path, 'latin1')) ?? [];
    if (door !== undefined && !existsSync(door))
      rmSync(join(memories, name), { recursive: true, force: true });
  }
}
