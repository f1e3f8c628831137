import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { objectOf } from './client.ts';

/** The keys that unseal and manage a Vault. */
export type VaultKeys = {
  /** Empty if Vault unseals itself or the keys are kept elsewhere. */
  readonly unsealKeys: readonly string[];
  /** Only with auto-unseal: they generate root tokens and nothing else. */
  readonly recoveryKeys?: readonly string[] | undefined;
  /** Token of `init-vault` and `status`, with the rights of vault/policies/operations.hcl. */
  readonly adminToken?: string | undefined;
  /** Only for a new Vault, or if a killed run could not revoke it. */
  readonly rootToken?: string | undefined;
};

// More than the keys need, so that storing them cannot run out of space.
const reservedBytes = 4096;

const pendingPath = (path: string): string => `${path}.pending`;

/**
 * The keys at `path`, in the format of `vault operator init -format=json` plus `admin_token`; undefined if there are
 * none. Finds keys that a killed run wrote but did not move into place. Throws `TaskError` for a damaged file.
 */
export async function readKeys(path: string): Promise<VaultKeys | undefined> {
  const text = await textIfThere(path);
  const keys = parseKeys(text ?? (await textIfThere(pendingPath(path))));
  if (text === undefined && keys !== undefined) await rename(pendingPath(path), path);
  if (text === undefined || keys !== undefined) return keys;
  throw new TaskError({
    what: `the Vault keys in ${path} are damaged`,
    why: 'Expected JSON with `unseal_keys_b64` or `admin_token`',
    advice: `restore the file from a copy; without it, ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} start over`,
  });
}

/** Texts of the keys to redact. */
export const textsOfKeys = ({ unsealKeys, recoveryKeys = [], adminToken, rootToken }: VaultKeys): string[] =>
  [...unsealKeys, ...recoveryKeys, adminToken, rootToken].filter((secret) => secret !== undefined);

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
 * Creates a file of mode 0600 next to `path` and reserves disk space, before Vault returns its keys for the only
 * time. Returns a function that stores them. Keeps keys of an earlier Vault as `<path>.1`, `.2`, … Throws `TaskError`
 * if the folder is not writable.
 */
export async function reserveKeysFile(path: string): Promise<(keys: VaultKeys) => Promise<void>> {
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
      advice: 'free some space or make the folder writable; Vault was not initialised',
      cause: error,
    });
  }
  return async (keys) => {
    await synced(pending, 'r+', formatKeys(keys).padEnd(reservedBytes));
    if (existsSync(path)) await rename(path, freeName(path));
    await rename(pending, path);
    await synced(dirname(path), 'r');
  };
}

/** Replaces the keys at `path` atomically, with mode 0600. */
export async function replaceKeys(path: string, keys: VaultKeys): Promise<void> {
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

function formatKeys({ unsealKeys, recoveryKeys, adminToken, rootToken }: VaultKeys): string {
  const content = {
    unseal_keys_b64: unsealKeys,
    recovery_keys_b64: recoveryKeys,
    admin_token: adminToken,
    root_token: rootToken,
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

function parseKeys(text = ''): VaultKeys | undefined {
  let content: ReturnType<typeof objectOf>;
  try {
    content = objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
  const { unseal_keys_b64: unseal, recovery_keys_b64: recovery, admin_token, root_token } = content ?? {};
  const [unsealKeys, recoveryKeys] = [unseal ?? [], recovery ?? []];
  if (!areTexts(unsealKeys) || !areTexts(recoveryKeys)) return undefined;
  const [adminToken, rootToken] = [admin_token, root_token].map((token) =>
    isText(token) ? token : undefined,
  );
  const keys = {
    ...{ unsealKeys, recoveryKeys: recoveryKeys.length === 0 ? undefined : recoveryKeys },
    ...{ adminToken, rootToken },
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
