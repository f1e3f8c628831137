import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from '../runner/runner.ts';
import { objectOf } from './client.ts';

/** What Vault gives once, when it is initialised. */
export type VaultKeys = { readonly unsealKeys: readonly string[]; readonly rootToken: string };

export type ReservedKeysFile = {
  readonly store: (keys: VaultKeys) => Promise<void>;
  readonly discard: () => Promise<void>;
};

// Larger than the file with the keys will be, so that storing them needs no further space.
const reservedBytes = 4096;

/**
 * The keys kept at `path`, in the format of `vault operator init -format=json`; undefined when there are none.
 * Also finds keys that a killed run had written but not yet moved into place. Throws `TaskError` for a damaged file.
 */
export async function readKeys(path: string): Promise<VaultKeys | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) {
    const pending = await readIfThere(pendingPath(path));
    const keys = pending === undefined ? undefined : parseKeys(pending);
    if (keys !== undefined) await rename(pendingPath(path), path);
    return keys;
  }
  const keys = parseKeys(text);
  if (keys !== undefined) return keys;
  throw new TaskError({
    what: `the Vault keys in ${path} are damaged`,
    why: 'Expected JSON with `unseal_keys_b64` and `root_token`',
    advice:
      'restore the file from a copy; without it, `destroy-environment` and `create-environment` start over',
  });
}

/**
 * Whether a run was killed between asking Vault for its keys and storing them. If Vault answered, they are lost; nobody can
 * have used it since, for it was never unsealed.
 */
export async function keysNeverStored(path: string): Promise<boolean> {
  if ((await readIfThere(path)) !== undefined) return false;
  const pending = await readIfThere(pendingPath(path));
  return pending !== undefined && parseKeys(pending) === undefined;
}

/** Takes away what such a run left beside `path`. */
export const dropReservation = (path: string): Promise<void> => rm(pendingPath(path), { force: true });

/**
 * Makes a file of mode 0600 next to `path` and takes its space on the disk before Vault is asked for keys that it
 * tells only once. Keys of an earlier Vault are kept as `<path>.1`, `.2`, … Throws `TaskError` when the place is not writable.
 */
export async function reserveKeysFile(path: string): Promise<ReservedKeysFile> {
  const pending = pendingPath(path);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const leftOver = await readIfThere(pending);
    if (leftOver !== undefined && parseKeys(leftOver) !== undefined)
      await rename(pending, await freeName(path));
    await rm(pending, { force: true });
    await writeSynced(pending, ' '.repeat(reservedBytes), 'wx');
  } catch (error) {
    throw new TaskError({
      what: `no place to keep the Vault keys: ${path}`,
      why: error instanceof Error ? error.message : String(error),
      advice: 'free some space or make the folder writable; Vault was not initialised',
      cause: error,
    });
  }
  return {
    store: async (keys) => {
      await writeSynced(pending, `${formatKeys(keys)}\n`.padEnd(reservedBytes), 'r+');
      if ((await readIfThere(path)) !== undefined) await rename(path, await freeName(path));
      await rename(pending, path);
      await syncFolder(dirname(path));
    },
    discard: () => rm(pending, { force: true }),
  };
}

function pendingPath(path: string): string {
  return `${path}.pending`;
}

async function freeName(path: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const name = `${path}.${number}`;
    const taken = await access(name).then(
      () => true,
      () => false,
    );
    if (!taken) return name;
  }
}

function formatKeys(keys: VaultKeys): string {
  return JSON.stringify(
    {
      unseal_keys_b64: keys.unsealKeys,
      unseal_shares: keys.unsealKeys.length,
      unseal_threshold: keys.unsealKeys.length,
      root_token: keys.rootToken,
    },
    undefined,
    2,
  );
}

function parseKeys(text: string): VaultKeys | undefined {
  let content: ReturnType<typeof objectOf>;
  try {
    content = objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
  const unsealKeys = content?.unseal_keys_b64;
  const rootToken = content?.root_token;
  if (!Array.isArray(unsealKeys) || unsealKeys.length === 0) return undefined;
  if (!unsealKeys.every((key): key is string => typeof key === 'string' && key !== '')) return undefined;
  return typeof rootToken === 'string' && rootToken !== '' ? { unsealKeys, rootToken } : undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new TaskError({
      what: `the Vault keys in ${path} cannot be read`,
      why: error instanceof Error ? error.message : String(error),
      advice: 'make the file readable for you',
      cause: error,
    });
  }
}

async function writeSynced(path: string, text: string, flags: 'wx' | 'r+'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.write(text, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
