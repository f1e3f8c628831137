import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream } from 'node:fs';
import { lstat, readFile, readlink, stat } from 'node:fs/promises';

/** What is remembered of one file. */
export type FileState = {
  /** Of its contents, its right to be executed and, for a link, where it leads to. */
  readonly digest: string;
  /** While this stays the same the contents need not be read again; empty when that would not be certain. */
  readonly stamp: string;
};

export type FileStates = { readonly [path: string]: FileState };

export type ReadStates = {
  readonly states: FileStates;
  /** Files that exist but cannot be read. */
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
};

/** Larger files are read in pieces. */
const wholeBytes = 1 << 20;
/** Files that are read at the same time. */
const readers = 16;
/**
 * A file that was written so shortly before it was read may be written again without a new time: file systems count in
 * steps of up to 2 s (FAT).
 */
const freshMs = 2500;

/** The last digest that was made: tasks of a large graph are often alike, and a hash costs more than all else of a small one. */
let last = { text: '', digest: '' };

/** A short name for any value: equal values, equal names. */
export function digestOf(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  if (text !== last.text || last.digest === '')
    last = { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 32) };
  return last.digest;
}

/**
 * The state of each of these files; what is gone meanwhile is left out. `known` saves reading files whose stamp is the
 * same. `now`: milliseconds since 1970.
 */
export async function readStates(
  paths: readonly string[],
  known: FileStates = {},
  now = Date.now(),
): Promise<ReadStates> {
  const found = new Map<string, FileState>();
  const unreadable: { path: string; reason: string }[] = [];
  const rest = [...paths];
  const reader = async (): Promise<void> => {
    for (let path = rest.pop(); path !== undefined; path = rest.pop()) {
      try {
        found.set(path, await readState(path, known[path], now));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT' && code !== 'ENOTDIR') unreadable.push({ path, reason: code ?? message });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(readers, paths.length) }, reader));
  const states: { [path: string]: FileState } = Object.create(null);
  for (const path of paths) {
    const state = found.get(path);
    if (state !== undefined) states[path] = state;
  }
  return { states, unreadable: unreadable.sort((left, right) => (left.path < right.path ? -1 : 1)) };
}

async function readState(path: string, known: FileState | undefined, now: number): Promise<FileState> {
  const own = await lstat(path, { bigint: true });
  // A link that leads nowhere is a fact like others.
  const target = own.isSymbolicLink() ? await stat(path, { bigint: true }).catch(() => undefined) : own;
  const stats = target === undefined || target === own ? [own] : [own, target];
  const stamp = stats.map(stampOf).join(' ');
  if (known !== undefined && known.stamp === stamp) return known;
  const link = own.isSymbolicLink() ? await readlink(path) : '';
  const executable = target?.isFile() ? Number(target.mode & 0o111n) : 0;
  const content = target?.isFile() ? await contentDigest(path, target.size) : '';
  const fresh = stats.some(
    ({ mtimeMs, ctimeMs }) => now - Number(mtimeMs > ctimeMs ? mtimeMs : ctimeMs) < freshMs,
  );
  return { digest: digestOf([link, executable, content]), stamp: fresh ? '' : stamp };
}

/** The change time is part of it because a tool can set the other one to what it was. */
function stampOf({ mtimeNs, ctimeNs, size, ino }: BigIntStats): string {
  return [mtimeNs, ctimeNs, size, ino].join('.');
}

async function contentDigest(path: string, size: bigint): Promise<string> {
  const hash = createHash('sha256');
  if (size < wholeBytes) hash.update(await readFile(path));
  else for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
