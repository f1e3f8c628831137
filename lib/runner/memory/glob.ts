import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import picomatch from 'picomatch';

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
 * link itself counts too.
 */
export async function findFiles(
  globs: Globs,
  settings: {
    readonly ignored?: readonly string[] | undefined;
    /** Files that do not count, by their path or by the one without links. */
    readonly except?: ((path: string) => boolean) | undefined;
  } = {},
): Promise<Found> {
  const files = new Set<string>();
  const unmatched: string[] = [];
  const unreadable = new Set<string>();
  const { except = () => false, ignored = [] } = settings;
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
    if (first?.isDirectory() !== true) {
      if ((first?.isFile() || link?.isSymbolicLink()) && pattern.matches(start)) found(start, start);
      return;
    }
    const places: Place[] = [{ path: start, real: await realpath(start).catch(() => start), from: [] }];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      for (const entry of await entriesOf(place.path)) {
        const [path, real] = [join(place.path, entry.name), join(place.real, entry.name)];
        const isLink = entry.isSymbolicLink();
        if ((entry.isFile() || isLink) && pattern.matches(path)) found(path, real);
        if (!(entry.isDirectory() || isLink) || ignored.includes(path) || ignored.includes(real)) continue;
        if (!pattern.reaches(path) || isLeftOut(pattern, globs, path)) continue;
        const next = isLink ? await placeBehind(path, place) : { path, real, from: place.from };
        if (next !== undefined) places.push(next);
      }
    }
  }

  /** The folder that a link leads to; undefined when it leads to none, or back. */
  async function placeBehind(path: string, { real: here, from }: Place): Promise<Place | undefined> {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || ignored.includes(real)) return undefined;
    if (!(await stat(real).catch(() => undefined))?.isDirectory()) return undefined;
    const passed = [...from, here];
    return passed.some((folder) => isWithin(folder, real)) ? undefined : { path, real, from: passed };
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
}

/** False for a path that is neither something the globs stand for, nor a folder on the way to it. */
export function mayHold(globs: Globs, path: string): boolean {
  return globs.included.some((glob) => {
    if (isWithin(glob.start, path)) return true;
    return (glob.matches(path) || glob.reaches(path)) && !isLeftOut(glob, globs, path);
  });
}

function isLeftOut(glob: Pattern, { excluded }: Globs, path: string): boolean {
  const name = basename(path);
  return (passedOver.includes(name) && !glob.text.includes(name)) || excluded.some((one) => one.covers(path));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}

/** The path, or the nearest folder above that exists: the next part of the path can only appear there. */
export async function existingFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() || folder === dirname(folder)) return folder;
  }
}

function compile(text: string, glob: string, folder: string): Pattern {
  const { base, glob: rest } = picomatch.scan(glob);
  const start = resolve(folder, plain(base));
  const below = (path: string): boolean => isWithin(path, start);
  if (rest === '') return { text, start, matches: below, reaches: below, covers: below };
  const isMatch = picomatch(rest, options);
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
  const tests = fixed.map((part) => picomatch(part, options));
  return (names) =>
    (end >= 0 || names.length <= fixed.length) &&
    tests.every((test, at) => names[at] === undefined || test(names[at]));
}

function plain(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}
