import { lstat, readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type picomatch from 'picomatch';

/** One glob, bound to a folder. All paths are absolute. */
type Pattern = {
  /** As it was written. */
  readonly text: string;
  /** Where the search begins: the part in front of the first wildcard. */
  readonly start: string;
  readonly matches: (path: string) => boolean;
  /** Whether something below this folder may match. */
  readonly reaches: (folder: string) => boolean;
  /** Whether it stands for everything in this folder. */
  readonly covers: (folder: string) => boolean;
};

export type Globs = { readonly included: readonly Pattern[]; readonly excluded: readonly Pattern[] };

export type Found = {
  /** Absolute, sorted. Files and symbolic links, whatever these lead to. */
  readonly files: readonly string[];
  /** Globs that matched nothing, as they were written. */
  readonly unmatched: readonly string[];
  /** Folders that could not be read. */
  readonly unreadable: readonly string[];
};

/** Folders that only count when a glob names them. */
const passedOver = ['.git', 'node_modules'];

// picomatch, because Node 20 has no stable glob of its own: no dependencies, and it tells the fixed part of a glob.
const require = createRequire(import.meta.url);
// A `**` shall match names with a line break as well.
const options: picomatch.PicomatchOptions = { dot: true, flags: 's', nonegate: true };

/**
 * Globs relative to a folder: `*`, `?`, `[…]`, `{a,b}`, `**`, a leading `!` leaves out. A path without wildcards stands for
 * the file or for all of the folder. Names that begin with a dot match like all others.
 */
export function compileGlobs(texts: readonly string[], folder: string): Globs {
  const excluded = texts.filter((text) => text.startsWith('!'));
  return {
    included: texts.filter((text) => !text.startsWith('!')).map((text) => compile(text, text, folder)),
    excluded: excluded.map((text) => compile(text, text.slice(1), folder)),
  };
}

/** Whether the globs stand for this path. */
export function matchesGlobs({ included, excluded }: Globs, path: string): boolean {
  return included.some((glob) => glob.matches(path)) && !excluded.some((glob) => glob.matches(path));
}

/**
 * Finds the files that the globs stand for. Links to folders are not followed (a circle would have no end), except where
 * the fixed part of a glob leads through one. `onFolder` is told of each folder in which a file may appear, before it is read.
 */
export async function findFiles(
  globs: Globs,
  settings: {
    readonly ignored?: readonly string[] | undefined;
    readonly onFolder?: ((folder: string) => void) | undefined;
  } = {},
): Promise<Found> {
  const files = new Set<string>();
  const unmatched: string[] = [];
  const unreadable = new Set<string>();
  for (const pattern of globs.included) {
    let matched = false;
    await walk(pattern, (path) => {
      if (globs.excluded.some((glob) => glob.matches(path))) return;
      matched = true;
      files.add(path);
    });
    if (!matched) unmatched.push(pattern.text);
  }
  return { files: [...files].sort(), unmatched, unreadable: [...unreadable].sort() };

  async function walk(pattern: Pattern, found: (path: string) => void): Promise<void> {
    const first = await stat(pattern.start).catch(() => lstat(pattern.start).catch(() => undefined));
    if (first?.isDirectory() !== true) {
      settings.onFolder?.(await existingFolder(dirname(pattern.start)));
      const link = await lstat(pattern.start).catch(() => undefined);
      if ((first?.isFile() || link?.isSymbolicLink()) && pattern.matches(pattern.start)) found(pattern.start);
      return;
    }
    // Its own removal and return is only seen from above.
    settings.onFolder?.(dirname(pattern.start));
    const folders = [pattern.start];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      settings.onFolder?.(folder);
      for (const entry of await entriesOf(folder)) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
          if (isWanted(pattern, path, entry.name)) folders.push(path);
        } else if ((entry.isFile() || entry.isSymbolicLink()) && pattern.matches(path)) found(path);
      }
    }
  }

  async function entriesOf(folder: string) {
    try {
      return await readdir(folder, { withFileTypes: true });
    } catch (error) {
      // A folder that has just gone holds nothing.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable.add(folder);
      return [];
    }
  }

  function isWanted(pattern: Pattern, folder: string, name: string): boolean {
    if (settings.ignored?.includes(folder) || !pattern.reaches(folder)) return false;
    if (passedOver.includes(name) && !pattern.text.includes(name)) return false;
    return !globs.excluded.some((glob) => glob.covers(folder));
  }
}

/** The nearest folder above that exists: the next part of the path can only appear there. */
async function existingFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() || folder === dirname(folder)) return folder;
  }
}

function compile(text: string, glob: string, folder: string): Pattern {
  const { base, glob: rest } = pico().scan(glob);
  const start = resolve(folder, plain(base));
  const below = (path: string): boolean =>
    path === start || path.startsWith(start === sep ? sep : start + sep);
  if (rest === '') return { text, start, matches: below, reaches: below, covers: below };
  const isMatch = pico()(rest, options);
  const reaches = reachOf(rest);
  return {
    text,
    start,
    matches: (path) => below(path) && path !== start && isMatch(relative(start, path)),
    reaches: (path) => below(path) && reaches(relative(start, path).split(sep)),
    covers: (path) =>
      path === start
        ? rest === '**'
        : /(^|\/)\*\*$/.test(rest) && below(path) && isMatch(relative(start, path)),
  };
}

/** Compares folder by folder up to the first `**`, so that `a/*\/b` looks into no other folder. */
function reachOf(glob: string): (names: readonly string[]) => boolean {
  const parts = glob.split('/');
  const end = parts.findIndex((part) => part.includes('**'));
  const fixed = parts.slice(0, end < 0 ? parts.length - 1 : end);
  // A slash inside of brackets divides nothing.
  if (fixed.some((part) => /[({[]/.test(part))) return () => true;
  const tests = fixed.map((part) => pico()(part, options));
  return (names) =>
    (end >= 0 || names.length <= fixed.length) &&
    tests.every((test, at) => names[at] === undefined || test(names[at]));
}

function plain(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}

function pico(): typeof picomatch {
  return require('picomatch') as typeof picomatch;
}
