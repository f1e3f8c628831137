import { taskCommand } from '../../ground/launcher.ts';
import type { JsonObject, VaultClient } from './client.ts';
import { type KeysPlace, nameOf, readKeys, type VaultKeys } from './keys-file.ts';
import { KeysError, unreadable } from './vault-error.ts';

/** A server of Vault: the only one, or one of several with shared raft data. */
export type Replica = {
  /** Name of its pod. */
  readonly name: string;
  readonly client: VaultClient;
};

export type OpenVaultInput = {
  /** At least one. A new Vault is initialised on the first; the others join it. */
  readonly replicas: readonly Replica[];
  /** Names of the replicas that do not run, and may hold data. */
  readonly absent?: readonly string[];
  readonly keysPath: KeysPlace;
  readonly signal?: AbortSignal;
};

/** The answer of `GET sys/seal-status`, which needs no token: `initialized`, `sealed`, `version`, … */
export async function sealStatus(client: VaultClient): Promise<JsonObject> {
  const { body } = await client.request('GET', 'sys/seal-status');
  if (typeof body.initialized === 'boolean' && typeof body.sealed === 'boolean') return body;
  throw unreadable(
    client.address,
    'GET sys/seal-status',
    'it does not say whether Vault is initialised and sealed',
  );
}

/** The keys of this Vault. Throws `KeysError` if there are none. */
export async function requireKeys(client: VaultClient, keysPath: KeysPlace): Promise<VaultKeys> {
  const keys = await readKeys(keysPath);
  if (keys !== undefined) return keys;
  throw new KeysError({
    what: `Vault at ${client.address} is initialised, but its keys are not in ${nameOf(keysPath)}`,
    why: 'Vault shows its keys only once; without them its data cannot be read',
    advice: `${typeof keysPath === 'string' ? 'restore the file from a copy' : 'get the file from whoever initialised Vault (git pull)'}, or start over: ${taskCommand('destroy-environment')}, then ${taskCommand('create-environment')}`,
  });
}
