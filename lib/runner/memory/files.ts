import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readFile, readlink, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import PQueue from 'p-queue';
import { findFiles, type Globs } from './glob.ts';
import { digestOf } from './node-settings.ts';

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
