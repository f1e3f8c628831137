import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cachedDataVersionTag } from 'node:v8';
import { Script } from 'node:vm';
import type * as BuildLibrary from './build-library.ts';
import type * as Library from './library.ts';
import { attempt, isCurrent, keep, memoryFolder, shared } from './quick-answer.ts';

/** The library as the expression of one function `(require, exports, module)`. */
export type Built = {
  readonly code: string;
  /** A hash of the code. */
  readonly id: string;
  /** What it was built from, see `stampOf`. */
  readonly sources: readonly string[];
};

const door = fileURLToPath(new URL('./runner.ts', import.meta.url));
const require = createRequire(door);
const libraryFile = 'library.js';
/** In front of what belongs to the code, as JSON in its last line. */
const trailer = '\n// ';

/**
 * The library, built into one file by esbuild: each module that a loader fetches costs more than what is in it. The file is kept in
 * the user's cache, with what V8 has compiled of it, and made anew when a source changes. Loaded at once, with no top-level await, so
 * that a file of tasks may be CommonJS. Where there is no esbuild the sources themselves are loaded: Node has to strip types then.
 */
export function loadLibrary(): typeof Library {
  loaded ??= load(memoryFolder(door));
  return loaded;
}

let loaded: typeof Library | undefined;

function load(folder: string | undefined): typeof Library {
  const built = (folder === undefined ? undefined : readBuilt(folder)) ?? build(folder);
  return built === undefined ? (require('./library.ts') as typeof Library) : evaluate(built, folder);
}

function readBuilt(folder: string): Built | undefined {
  // esbuild writes nothing but ASCII.
  const text = readOwn(join(folder, libraryFile))?.toString('latin1') ?? '';
  const end = text.lastIndexOf(trailer);
  try {
    const { id, sources } = JSON.parse(text.slice(end + trailer.length)) as Omit<Built, 'code'>;
    return isCurrent(sources) ? { code: text.slice(0, end), id, sources } : undefined;
  } catch {
    // Not there or cut off: as good as never built.
    return undefined;
  }
}

function build(folder: string | undefined): Built | undefined {
  let esbuild: string;
  try {
    esbuild = dirname(require.resolve('esbuild/package.json'));
  } catch {
    return undefined;
  }
  const { buildLibrary, forgetGoneLibraries } = require('./build-library.ts') as typeof BuildLibrary;
  const built = buildLibrary(door, esbuild);
  if (folder !== undefined) {
    const { code, ...about } = built;
    keep(folder, libraryFile, `${code}${trailer}${JSON.stringify({ ...about, door })}\n`);
    attempt(() => {
      forgetGoneLibraries(folder, libraryFile);
      const compiled = readdirSync(folder).filter((name) => name.startsWith('compiled-'));
      for (const name of compiled) rmSync(join(folder, name), { force: true });
    });
  }
  return built;
}

function evaluate({ code, id, sources }: Built, folder: string | undefined): typeof Library {
  const filename = folder === undefined ? `${door} (built)` : join(folder, libraryFile);
  shared.libraries.push({ file: filename, sources });
  // V8 itself only compares the length of the code.
  const compiled = `compiled-${id}-${cachedDataVersionTag()}`;
  const ofRun = `${compiled}-run`;
  const found = (name: string): Buffer | undefined =>
    folder === undefined ? undefined : readOwn(join(folder, name));
  const compiledByRun = found(ofRun);
  const cachedData = compiledByRun ?? found(compiled);
  const script = new Script(code, cachedData === undefined ? { filename } : { filename, cachedData });
  const module = { exports: {} };
  script.runInThisContext()(require, module.exports, module);
  const isKept = cachedData !== undefined && !script.cachedDataRejected;
  if (folder !== undefined && !(isKept && compiledByRun !== undefined)) {
    // At the end: what has run by then is compiled. A list leaves most of it to the first run of a task.
    process.once('exit', () => {
      if (isKept && !shared.ran) return;
      for (const name of [compiled, ofRun]) attempt(() => rmSync(join(folder, name), { force: true }));
      keep(folder, shared.ran ? ofRun : compiled, script.createCachedData());
    });
  }
  return module.exports as typeof Library;
}

/** A file that is going to be run: what another user has written there does not count, and what cannot be read neither. */
function readOwn(file: string): Buffer | undefined {
  try {
    return statSync(file).uid === process.getuid?.() ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  }
}
