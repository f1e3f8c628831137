import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '@k8s-deployment/runner';
import { checkWritable } from '../ground/files.ts';
import { ifThere } from '../ground/if-there.ts';
import { shellWord } from '../ground/shell-words.ts';
import type { Environment } from '../settings/context.ts';

/** `20261129T061500Z`, which sorts by time. */
const timeText = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '');

/** Absolute path of a backup: the named one, or a new one in the state folder. */
export const newPlace = ({ state }: Environment, kind: string, named: string | undefined): string =>
  named === undefined ? join(state, 'backups', `${kind}-${timeText()}`) : resolve(named);

/** Absolute path of an existing backup, which has this file. Throws `UsageError` if there is none. */
export async function existingPlace(named: string, file: string): Promise<string> {
  const path = resolve(named);
  const isFolder = (await ifThere(stat(path), path))?.isDirectory();
  if (isFolder && (await ifThere(stat(join(path, file))))) return path;
  throw new UsageError({
    what: `there is no backup at ${named}`,
    why: `it has no ${file}: it is another folder, or was moved`,
    advice: 'name the folder that the backup printed',
  });
}

/** Where a backup is until it is complete. */
const partialOf = (path: string): string => `${path}.partial`;

/** Throws `UsageError` if something is at the named path of a new backup, or where it is written. */
export async function checkNewPlace(named: string | undefined): Promise<void> {
  if (named === undefined) return;
  const path = resolve(named);
  if (existsSync(path))
    throw new UsageError({
      what: `${named} already exists`,
      why: 'a backup never replaces another one',
      advice: 'name a folder that does not exist yet',
    });
  if (existsSync(partialOf(path)))
    throw new UsageError({
      what: `${partialOf(path)} already exists`,
      why: 'the backup is written there first; it is yours, or a killed run left it',
      advice: `remove it, or name another folder: rm -r ${shellWord(partialOf(path))}`,
    });
  await checkWritable(dirname(path));
}

/**
 * Calls `fill` with a new folder of mode 0700, which is at `path` only once it is complete; after a failure nothing is
 * left. Rejects if there is anything.
 */
export async function wholeFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const partial = partialOf(path);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await mkdir(partial, { mode: 0o700 });
  try {
    await fill(partial);
    await rename(partial, path);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** A new backup's path for a plain command, in the project's folder. */
export const newPlaceText = ({ name }: Environment, kind: string, named: string | undefined): string =>
  named === undefined ? `.state/${name}/backups/${kind}-"$(date -u +%Y%m%dT%H%M%SZ)"` : shellWord(named);

/** SHA-256 of a file of any size. */
export async function checksumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
