import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import PQueue from 'p-queue';
import picomatch from 'picomatch';
import { digestOf } from './record.ts';

/** A glob relative to a folder, with absolute paths. */
type Pattern = {
  /** As written. */
  readonly text: string;
  /** Start of the search: the part before the first wildcard. */
  readonly start: string;
  readonly matches: (path: string) => boolean;
  /** True if it includes everything in this folder. */
  readonly covers: (folder: string) => boolean;
};

export type Globs = { readonly included: readonly Pattern[]; readonly excluded: readonly Pattern[] };

/** Folders that only count if a glob names them. */
const passedOver = ['.git', 'node_modules'];

/**
 * Globs relative to a folder: `*`, `?`, `[…]`, `{a,b}`, `**`; a leading `!` excludes. A path without wildcards means
 * the file or the whole folder. Names with a leading dot match like others.
 */
export function compileGlobs(texts: readonly string[], folder: string): Globs {
  const excluded = texts.filter((text) => text.startsWith('!'));
  return {
    included: texts.filter((text) => !text.startsWith('!')).map((text) => compile(text, text, folder)),
    excluded: excluded.map((text) => compile(text, text.slice(1), folder)),
  };
}

/**
 * Finds the files that match the globs: absolute paths, sorted; globs without a match, as written; and unreadable
 * folders. Follows links to folders, except back to a folder on the way, which would never end. A link counts as a
 * file too, whatever its target. `ignored`: a folder to skip.
 */
export async function findFiles(globs: Globs, ignored?: string) {
  const files = new Set<string>();
  const unmatched: string[] = [];
  const unreadable = new Set<string>();
  for (const pattern of globs.included) {
    let matched = false;
    const look = (path: string): void => {
      if (!pattern.matches(path) || globs.excluded.some((glob) => glob.matches(path))) return;
      matched = true;
      files.add(path);
    };
    if (await isFolder(pattern.start)) await walk(pattern, pattern.start, [], look);
    else if (await lstat(pattern.start).catch(() => undefined)) look(pattern.start);
    if (!matched) unmatched.push(pattern.text);
  }
  return { files: [...files].sort(), unmatched, unreadable: [...unreadable].sort() };

  /** `passed`: real folders of the links that led here. */
  async function walk(
    pattern: Pattern,
    folder: string,
    passed: readonly string[],
    look: (path: string) => void,
  ): Promise<void> {
    const real = await realpath(folder).catch(() => folder);
    if (folder === ignored || real === ignored) return;
    for (const entry of await entriesOf(folder)) {
      const path = join(folder, entry.name);
      const isLink = entry.isSymbolicLink();
      if (entry.isFile() || isLink) look(path);
      if (isLeftOut(pattern, globs, path)) continue;
      if (entry.isDirectory()) await walk(pattern, path, passed, look);
      if (!isLink || !(await isFolder(path))) continue;
      const target = await realpath(path).catch(() => path);
      const way = [...passed, real];
      if (!way.some((step) => isWithin(step, target))) await walk(pattern, path, way, look);
    }
  }

  async function entriesOf(folder: string) {
    try {
      return await readdir(folder, { withFileTypes: true });
    } catch (error) {
      // The folder was just removed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable.add(folder);
      return [];
    }
  }
}

/** False if the path neither matches nor is on the way to a match. */
export function mayHold(globs: Globs, path: string): boolean {
  return globs.included.some(
    (glob) => isWithin(glob.start, path) || (isWithin(path, glob.start) && !isLeftOut(glob, globs, path)),
  );
}

function isLeftOut(glob: Pattern, { excluded }: Globs, path: string): boolean {
  const name = basename(path);
  return (passedOver.includes(name) && !glob.text.includes(name)) || excluded.some((one) => one.covers(path));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}

/** The path or its nearest existing parent, where the missing part would appear. */
export async function existingFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder))
    if (folder === dirname(folder) || (await isFolder(folder))) return folder;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

function compile(text: string, glob: string, folder: string): Pattern {
  const { base, glob: rest } = picomatch.scan(glob);
  const start = resolve(folder, base.replace(/\\(.)/g, '$1'));
  const below = (path: string): boolean => isWithin(path, start);
  if (rest === '') return { text, start, matches: below, covers: below };
  // `**` must also match names with line breaks.
  const isMatch = picomatch(rest, { dot: true, flags: 's', nonegate: true });
  const matches = (path: string): boolean => below(path) && path !== start && isMatch(relative(start, path));
  const isWhole = /(^|\/)\*\*$/.test(rest);
  return {
    text,
    start,
    matches,
    covers: (path) => isWhole && (path === start ? rest === '**' : matches(path)),
  };
}

/** By name: of files by path (contents, permission to execute, a link's target) or of anything else. */
export type Digests = { readonly [name: string]: string };

/** Larger files are read in chunks. */
const wholeBytes = 1 << 20;
/** Number of files read at the same time. */
const readers = 16;

/**
 * Digests of the files that match the globs, by path relative to the folder, without those removed meanwhile; globs
 * without a match; and the first unreadable file or folder, as a sentence. Never searches `memory`.
 */
export async function readFiles(globs: Globs, folder: string, memory: string) {
  const { files, unmatched, unreadable } = await findFiles(globs, memory);
  const found = new Map<string, string>();
  const problems = unreadable.map((path) => `${relative(folder, path)} cannot be read`);
  const read = async (path: string): Promise<void> => {
    try {
      found.set(path, await fileDigest(path));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR')
        problems.push(`${relative(folder, path)} cannot be read (${code ?? message})`);
    }
  };
  await new PQueue({ concurrency: readers }).addAll(files.map((path) => () => read(path)));
  const digests = [...found].map(([path, digest]) => [relative(folder, path), digest] as const);
  return { digests: Object.fromEntries(digests.sort()), unmatched, problem: problems.sort()[0] };
}

async function fileDigest(path: string): Promise<string> {
  const own = await lstat(path);
  const link = own.isSymbolicLink() ? await readlink(path) : '';
  // A broken link is valid content too.
  const target = link === '' ? own : await stat(path).catch(() => undefined);
  if (!target?.isFile()) return digestOf([link]);
  const contents = createHash('sha256');
  if (target.size < wholeBytes) contents.update(await readFile(path));
  else await pipeline(createReadStream(path), contents);
  return digestOf([link, target.mode & 0o111, contents.digest('hex')]);
}

/** `src/a.ts changed`, `src/b.ts is new`, `src/c.ts is gone`, in the order of both. */
export function changesBetween(before: Digests, now: Digests): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names
    .filter((name) => before[name] !== now[name])
    .map((name) => {
      const change = !(name in before) ? 'is new' : name in now ? 'changed' : 'is gone';
      // A name may contain line breaks, but an explanation is one line.
      return `${JSON.stringify(name).slice(1, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\')} ${change}`;
    });
}
