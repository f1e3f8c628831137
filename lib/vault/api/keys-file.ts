import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { objectOf } from './client.ts';

/** What unseals a Vault and manages it. */
export type VaultKeys = {
  /** Empty if Vault unseals itself, or if the keys are kept elsewhere. */
  readonly unsealKeys: readonly string[];
  /** Of a Vault that unseals itself: they only generate root tokens. */
  readonly recoveryKeys?: readonly string[];
  /** The token of `init-vault` and `status`, with the rights of vault/policies/operations.hcl. */
  readonly adminToken?: string;
  /** Only of a new Vault, or if a run was killed before it revoked it. */
  readonly rootToken?: string;
};

export type ReservedKeysFile = {
  readonly store: (keys: VaultKeys) => Promise<void>;
  readonly discard: () => Promise<void>;
};

// Larger than the file with the keys, so that storing them needs no further space.
const reservedBytes = 4096;

/**
 * The keys kept at `path`, in the format of `vault operator init -format=json` with `admin_token` beside;
 * undefined when there are none. Also finds keys that a killed run wrote but did not move into place. Throws
 * `TaskError` for a damaged file.
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
    why: 'Expected JSON with `unseal_keys_b64` or `admin_token`',
    advice: `restore the file from a copy; without it, ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} start over`,
  });
}

/** Every text of the keys to redact. */
export const textsOfKeys = (keys: VaultKeys): string[] =>
  [...keys.unsealKeys, ...(keys.recoveryKeys ?? []), keys.adminToken ?? '', keys.rootToken ?? ''].filter(
    (secret) => secret !== '',
  );

/**
 * True if a run was killed between asking Vault for its keys and storing them. If Vault answered, they are
 * lost; it cannot have been used since, for it was never unsealed.
 */
export async function keysNeverStored(path: string): Promise<boolean> {
  if ((await readIfThere(path)) !== undefined) return false;
  const pending = await readIfThere(pendingPath(path));
  return pending !== undefined && parseKeys(pending) === undefined;
}

/** Removes what such a run left beside `path`. */
export const dropReservation = (path: string): Promise<void> => rm(pendingPath(path), { force: true });

/**
 * Creates a file of mode 0600 next to `path` and reserves its disk space, before Vault is asked for keys that
 * it returns only once. Keys of an earlier Vault are kept as `<path>.1`, `.2`, … Throws `TaskError` if the
 * folder is not writable.
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
      what: `the Vault keys cannot be stored at ${path}`,
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

/** Replaces the keys at `path`, mode 0600: a reader sees the old or the new ones. */
export async function replaceKeys(path: string, keys: VaultKeys): Promise<void> {
  const next = `${path}.next`;
  await rm(next, { force: true });
  await writeSynced(next, `${formatKeys(keys)}\n`, 'wx');
  await rename(next, path);
  await syncFolder(dirname(path));
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

function formatKeys({ unsealKeys, recoveryKeys, adminToken, rootToken }: VaultKeys): string {
  const content = {
    unseal_keys_b64: unsealKeys,
    ...(recoveryKeys === undefined ? {} : { recovery_keys_b64: recoveryKeys }),
    ...(adminToken === undefined ? {} : { admin_token: adminToken }),
    ...(rootToken === undefined ? {} : { root_token: rootToken }),
  };
  return JSON.stringify(content, undefined, 2);
}

function parseKeys(text: string): VaultKeys | undefined {
  let content: ReturnType<typeof objectOf>;
  try {
    content = objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
  const unsealKeys = textsOf(content?.unseal_keys_b64 ?? []);
  const recoveryKeys = textsOf(content?.recovery_keys_b64 ?? []);
  if (unsealKeys === undefined || recoveryKeys === undefined) return undefined;
  const adminToken = textOf(content?.admin_token);
  const rootToken = textOf(content?.root_token);
  const keys: VaultKeys = {
    unsealKeys,
    ...(recoveryKeys.length === 0 ? {} : { recoveryKeys }),
    ...(adminToken === undefined ? {} : { adminToken }),
    ...(rootToken === undefined ? {} : { rootToken }),
  };
  return textsOfKeys(keys).length === 0 ? undefined : keys;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

function textsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every((item): item is string => typeof item === 'string' && item !== '') ? value : undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new TaskError({
      what: `the Vault keys in ${path} cannot be read`,
      why: error instanceof Error ? error.message : String(error),
      advice: 'make the file readable',
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
