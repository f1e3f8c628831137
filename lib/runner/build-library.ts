import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Built } from './load-library.ts';
import { stampOf } from './quick-answer.ts';

/** Packages that only some runs use: they are loaded when they are, from node_modules. */
const external = ['zx', 'picomatch'];

/**
 * Builds all that the runner's door hands out, with the packages that every run uses, into one function. Takes some 100 ms.
 * `door` is the path of runner.ts: files beside the sources are found from there. `esbuild` is the folder of that package: its
 * program is run, since its library keeps 15 MiB of the process that is to run the tasks.
 */
export function buildLibrary(door: string, esbuild: string): Built {
  const folder = dirname(door);
  const place = mkdtempSync(join(tmpdir(), 'task-runner-'));
  try {
    const [built, about] = [join(place, 'library.js'), join(place, 'about.json')];
    execFileSync(
      join(esbuild, 'bin', 'esbuild'),
      [
        // Not the whole path: in it, an asterisk would stand for any letters.
        './library.ts',
        ...['--bundle', `--outfile=${built}`, `--metafile=${about}`, '--log-level=error'],
        ...['--platform=node', '--format=cjs', `--target=node${process.versions.node}`, '--charset=ascii'],
        ...external.map((name) => `--external:${name}`),
        `--define:import.meta.url=${JSON.stringify(pathToFileURL(door).href)}`,
        // What is imported late becomes a part of the file that runs late.
        '--supported:dynamic-import=false',
        ...['--banner:js=(function (require, exports, module) {', '--footer:js=})'],
      ],
      { cwd: folder },
    );
    // Letters beyond ASCII are left in comments only: with one byte for each the file is read as fast as can be.
    const code = readFileSync(built, 'latin1').replace(/[\u0080-\u00ff]/g, '?');
    const { inputs } = JSON.parse(readFileSync(about, 'utf8')) as { readonly inputs: object };
    const sources = Object.keys(inputs).map((input) => stampOf(resolve(folder, input)));
    return { code, id: createHash('sha256').update(code).digest('hex').slice(0, 16), sources };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Removes what is kept of libraries whose door is not there any more, so that nobody has to. `folder`: where one of them is kept. */
export function forgetGoneLibraries(folder: string, file: string): void {
  const memories = dirname(folder);
  for (const name of readdirSync(memories)) {
    const path = join(memories, name, file);
    if (!existsSync(path)) continue;
    const [, door] = /"door":"([^"]*)"[^\n]*\n$/.exec(endOf(path)) ?? [];
    if (door !== undefined && !existsSync(door))
      rmSync(join(memories, name), { recursive: true, force: true });
  }
}

/** Enough of the end of a file for the longest path: there may be many of these files, and each is some 400 kB. */
function endOf(path: string): string {
  const end = Buffer.alloc(8192);
  const file = openSync(path, 'r');
  try {
    const length = readSync(file, end, 0, end.length, Math.max(0, fstatSync(file).size - end.length));
    return end.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}
