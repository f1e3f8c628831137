import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
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

/** A folder to be searched. */
type Place = {
  readonly path: string;
  /** Without links. */
  readonly real: string;
  /** The real folders of the links that led here. */
  readonly from: readonly string[];
};

/**
 * Finds the files that the globs match. Links to folders are followed, except back to a folder on the way, which would never end. A
 * link itself counts too. `onFolder` is called with each folder in which a file may appear, before it is read; `onLink` with the
 * target of each link, even if that does not exist.
 */
export async function findFiles(
  globs: Globs,
  settings: {
    readonly ignored?: readonly string[] | undefined;
    /** Files that do not count, by their path or by the one without links. */
    readonly except?: ((path: string) => boolean) | undefined;
    readonly onFolder?: ((folder: string) => void) | undefined;
    readonly onLink?: ((target: string) => void) | undefined;
  } = {},
): Promise<Found> {
  const files = new Set<string>();
  const unmatched: string[] = [];
  const unreadable = new Set<string>();
  const { except = () => false } = settings;
  for (const pattern of globs.included) {
    let matched = false;
    await walk(pattern, (path, real) => {
      if (globs.excluded.some((glob) => glob.matches(path))) return;
      matched = true;
      if (!except(path) && !(real !== path && except(real))) files.add(path);
    });
    if (!matched) unmatched.push(pattern.text);
  }
  return { files: [...files].sort(), unmatched, unreadable: [...unreadable].sort() };

  async function walk(pattern: Pattern, found: (path: string, real: string) => void): Promise<void> {
    const { start } = pattern;
    const link = await lstat(start).catch(() => undefined);
    const first = link?.isSymbolicLink() ? await stat(start).catch(() => link) : link;
    if (link?.isSymbolicLink()) await tellTarget(start);
    if (first?.isDirectory() !== true) {
      settings.onFolder?.(await existingFolder(dirname(start)));
      if ((first?.isFile() || link?.isSymbolicLink()) && pattern.matches(start)) found(start, start);
      return;
    }
    // Its own removal and return is only seen from above.
    settings.onFolder?.(dirname(start));
    const places: Place[] = [{ path: start, real: await realpath(start).catch(() => start), from: [] }];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      settings.onFolder?.(place.path);
      for (const entry of await entriesOf(place.path)) {
        const [path, real] = [join(place.path, entry.name), join(place.real, entry.name)];
        const isLink = entry.isSymbolicLink();
        if ((entry.isFile() || isLink) && pattern.matches(path)) {
          found(path, real);
          if (isLink) await tellTarget(path);
        }
        if (!(entry.isDirectory() || isLink) || !isWanted(pattern, path, real)) continue;
        const next = isLink ? await placeBehind(path, place) : { path, real, from: place.from };
        if (next !== undefined) places.push(next);
      }
    }
  }

  /** The folder that a link leads to; undefined when it leads to none, or back. */
  async function placeBehind(path: string, { real: here, from }: Place): Promise<Place | undefined> {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || settings.ignored?.includes(real)) return undefined;
    if (!(await stat(real).catch(() => undefined))?.isDirectory()) return undefined;
    const passed = [...from, here];
    return passed.some((folder) => isWithin(folder, real)) ? undefined : { path, real, from: passed };
  }

  async function tellTarget(link: string): Promise<void> {
    if (settings.onLink === undefined) return;
    const target = await realpath(link).catch(() => readlink(link).catch(() => ''));
    settings.onLink(resolve(dirname(link), target));
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

  function isWanted(pattern: Pattern, folder: string, real: string): boolean {
    if (settings.ignored?.includes(folder) || settings.ignored?.includes(real)) return false;
    if (!pattern.reaches(folder)) return false;
    const name = basename(folder);
    if (passedOver.includes(name) && !pattern.text.includes(name)) return false;
    return !globs.excluded.some((glob) => glob.covers(folder));
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}

/** The nearest folder above that exists: the next part of the path can only appear there. */
export async function existingFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() || folder === dirname(folder)) return folder;
  }
}

function compile(text: string, glob: string, folder: string): Pattern {
  const { base, glob: rest } = pico().scan(glob);
  const start = resolve(folder, plain(base));
  const below = (path: string): boolean => isWithin(path, start);
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
