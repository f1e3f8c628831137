import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { parseObject } from './client.ts';

/** The keys that unseal and manage a Vault, as `vault operator init -format=json` prints them, plus a token. */
export type VaultKeys = {
  /** Empty if Vault unseals itself or the keys are kept elsewhere. */
  readonly unseal_keys_b64: readonly string[];
  /** Only with auto-unseal: they generate root tokens and nothing else. */
  readonly recovery_keys_b64?: readonly string[] | undefined;
  /** Token of `init-vault` and `status`, with the rights of vault/policies/operations.hcl. */
  readonly admin_token?: string | undefined;
  /** Only for a new Vault, or if a killed run could not revoke it. */
  readonly root_token?: string | undefined;
};

/** Where the keys are kept: a file of mode 0600, or an encrypted one that others read too. */
export type KeysPlace = {
  /** For messages. */
  readonly name: string;
  /** A file on this machine; for an encrypted one, it has the keys of a new Vault as `.pending` until then. */
  readonly path: string;
  /** Called with each text of keys that are read or written. */
  readonly secret: (text: string) => void;
  /** How an encrypted file is read, as JSON, and written. */
  readonly encrypted?: {
    readonly read: () => Promise<string | undefined>;
    readonly write: (keys: VaultKeys) => Promise<void>;
  };
};

// More than the keys need, so that storing them cannot run out of space.
const reservedBytes = 4096;

const pendingPath = (path: string): string => `${path}.pending`;

/**
 * The keys; undefined if there are none. First puts those in place that a killed run only wrote beside it. Throws
 * `TaskError` for a damaged file.
 */
export async function readKeys(place: KeysPlace): Promise<VaultKeys | undefined> {
  const { name, path, encrypted } = place;
  const pending = parseKeys(await textIfThere(pendingPath(path)));
  if (pending !== undefined) await putInPlace(place, pending);
  const text = await (encrypted === undefined ? textIfThere(path) : encrypted.read());
  const keys = parseKeys(text);
  if (keys !== undefined) redact(place, keys);
  if (text === undefined || keys !== undefined) return keys;
  throw new TaskError({
    what: `the Vault keys in ${name} are damaged`,
    why: 'Expected JSON with `unseal_keys_b64` or `admin_token`',
    advice: `restore the file from a copy; without it, ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} start over`,
  });
}

/** Texts of the keys to redact. */
export const textsOfKeys = (keys: VaultKeys): string[] =>
  [...keys.unseal_keys_b64, ...(keys.recovery_keys_b64 ?? []), keys.admin_token, keys.root_token].filter(
    (secret) => secret !== undefined,
  );

function redact({ secret }: KeysPlace, keys: VaultKeys): void {
  for (const text of textsOfKeys(keys)) secret(text);
}

/**
 * True if a run was killed between asking Vault for its keys and storing them. If Vault answered, the keys are lost,
 * but no data is: it was never unsealed.
 */
export async function keysNeverStored(path: string): Promise<boolean> {
  if ((await textIfThere(path)) !== undefined) return false;
  const pending = await textIfThere(pendingPath(path));
  return pending !== undefined && parseKeys(pending) === undefined;
}

/** Removes the reservation of such a run. */
export const dropReservation = (path: string): Promise<void> => rm(pendingPath(path), { force: true });

/**
 * Creates a file of mode 0600 beside the place and reserves disk space, before Vault returns its keys for the only
 * time. Returns a function that stores them. Keeps keys of an earlier Vault as `<path>.1`, `.2`, …; those of an
 * encrypted file are in git. Throws `TaskError` if the folder is not writable.
 */
export async function reserveKeysFile(place: KeysPlace): Promise<(keys: VaultKeys) => Promise<void>> {
  const { path } = place;
  const pending = pendingPath(path);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (parseKeys(await textIfThere(pending)) !== undefined) await rename(pending, freeName(path));
    await dropReservation(path);
    await synced(pending, 'wx', ' '.repeat(reservedBytes));
  } catch (error) {
    throw new TaskError({
      what: `the Vault keys cannot be stored at ${path}`,
      why: error instanceof Error ? error.message : String(error),
      advice: 'free some space or make the folder writable; nothing was changed',
      cause: error,
    });
  }
  return async (keys) => {
    redact(place, keys);
    await synced(pending, 'r+', formatKeys(keys).padEnd(reservedBytes));
    await putInPlace(place, keys);
  };
}

/** Moves the pending file to its place, or encrypts its keys. */
async function putInPlace({ path, encrypted }: KeysPlace, keys: VaultKeys): Promise<void> {
  if (encrypted !== undefined) {
    await encrypted.write(keys);
    return dropReservation(path);
  }
  if (existsSync(path)) await rename(path, freeName(path));
  await rename(pendingPath(path), path);
  await synced(dirname(path), 'r');
}

/** Replaces the keys atomically. */
export async function replaceKeys(place: KeysPlace, keys: VaultKeys): Promise<void> {
  const { path, encrypted } = place;
  redact(place, keys);
  if (encrypted !== undefined) return encrypted.write(keys);
  const next = `${path}.next`;
  await rm(next, { force: true });
  await synced(next, 'wx', formatKeys(keys));
  await rename(next, path);
  await synced(dirname(path), 'r');
}

function freeName(path: string): string {
  let number = 1;
  while (existsSync(`${path}.${number}`)) number += 1;
  return `${path}.${number}`;
}

const formatKeys = (keys: VaultKeys): string => `${JSON.stringify(keys, undefined, 2)}\n`;

/** The keys in the content of a keys file; undefined if it is damaged. */
export function parseKeys(text = ''): VaultKeys | undefined {
  const content = parseObject(text) ?? {};
  const [unseal, recovery] = [content.unseal_keys_b64 ?? [], content.recovery_keys_b64 ?? []];
  if (!areTexts(unseal) || !areTexts(recovery)) return undefined;
  const { admin_token, root_token } = content;
  const keys = {
    unseal_keys_b64: unseal,
    ...(recovery.length > 0 && { recovery_keys_b64: recovery }),
    ...(isText(admin_token) && { admin_token }),
    ...(isText(root_token) && { root_token }),
  };
  return textsOfKeys(keys).length === 0 ? undefined : keys;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const areTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

/** Writes a text and waits until it is on disk; for a folder, waits until its names are. */
async function synced(path: string, flags: 'wx' | 'r+' | 'r', text?: string): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    if (text !== undefined) await file.write(text, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
