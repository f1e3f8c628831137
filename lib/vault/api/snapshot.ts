import { createReadStream, createWriteStream } from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { VaultClient } from './client.ts';
import { initialiseVault, unsealAll } from './init.ts';
import {
  dropReservation,
  type KeysPlace,
  pathOf,
  replaceKeys,
  reserveKeysFile,
  type VaultKeys,
} from './keys-file.ts';
import { endRoot, rootToken } from './operator.ts';
import { type OpenVaultInput, requireKeys, sealStatus } from './replica.ts';
import { KeysError, VaultError } from './vault-error.ts';

/* Snapshots of Vault's raft storage (https://developer.hashicorp.com/vault/api-docs/system/storage/raft). */

/** Writes a snapshot of the active replica to a new file of mode 0600. Throws `VaultError`. */
export async function saveSnapshot(active: VaultClient, file: string, signal: AbortSignal): Promise<void> {
  const answer = await active.stream('GET', 'sys/storage/raft/snapshot', { signal });
  await pipeline(answer, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
}

/** A path of the token's own, which no snapshot has. */
const marker = 'cubbyhole/before-the-restore';

/**
 * Replaces Vault's storage; `force` skips Vault's check that its present keys open the snapshot. Vault restores it only
 * after its answer. Throws `VaultError`.
 */
async function loadSnapshot(active: VaultClient, file: string, force: boolean, signal: AbortSignal) {
  await active.write(marker, { value: 'here' });
  const path = `sys/storage/raft/${force ? 'snapshot-force' : 'snapshot'}`;
  const answer = await active.stream('POST', path, { body: createReadStream(file), signal });
  await finished(answer.resume());
}

/** Milliseconds for Vault to restore the data that it accepted. */
const restoreMs = 60_000;

/**
 * Waits until the replica that accepted a snapshot has restored it: the token's marker is gone, or, with other keys, the
 * replica has sealed itself. Returns whether it has. Throws `TaskError` if it does not end.
 */
async function isSealedByRestore(active: VaultClient, token: string, signal: AbortSignal): Promise<boolean> {
  const restored = async () => {
    try {
      if ((await sealStatus(active)).sealed) return 'sealed';
      return (await active.withToken(token).read(marker)) === undefined ? 'open' : undefined;
    } catch (error) {
      // Vault no longer knows the token. Anything else is said meanwhile, neither sealed nor open.
      if (error instanceof VaultError) return error.status === 403 ? 'open' : undefined;
      throw error;
    }
  };
  const state = await poll(restored, restoreMs, signal);
  if (state !== undefined) return state === 'sealed';
  throw new TaskError({
    what: 'Vault does not finish restoring the snapshot',
    why: `after ${restoreMs / 1000} s, it still has the former data`,
    advice: `see its log, then run ${taskCommand('init-vault')}`,
  });
}

type RestoreInput = OpenVaultInput & {
  readonly file: string;
  /** The keys that open the snapshot; undefined if they are those of the running Vault. */
  readonly keys: VaultKeys | undefined;
  /** Called with each secret before it is used. */
  readonly secret: (text: string) => void;
  readonly signal: AbortSignal;
};

/**
 * Replaces Vault's storage by a snapshot, and the keys file by the snapshot's keys; a new Vault is initialised first.
 * Returns whether the keys are others, which seals Vault, and the names of replicas to restart. Throws `TaskError`
 * without any change if Vault refuses the snapshot. After a killed run, Vault may have the snapshot's data already, but
 * not the keys file its keys.
 */
export async function restoreSnapshot(input: RestoreInput) {
  const { file, keys, keysPath, secret, signal } = input;
  const { client, root } = await manage(input).catch((error) => {
    if (keys === undefined || !(error instanceof KeysError)) throw error;
    return manage({ ...input, keysPath: offered(keys, keysPath) });
  });
  const { root_token: _, ...present } = await requireKeys(client, keysPath);
  const others = keys !== undefined && !sameKeys(keys, present);
  const store = others ? await reserveKeysFile(keysPath) : undefined;
  try {
    // With auto-unseal, the key service opens the snapshot of any Vault that uses it.
    const force = others && present.recovery_keys_b64 === undefined;
    await loadSnapshot(client.withToken(root), file, force, signal);
  } catch (error) {
    // Refused, so that nothing was changed; otherwise the token may be gone.
    if (error instanceof VaultError && error.status !== undefined) {
      await dropReservation(keysPath);
      await endRoot({ client, keysPath, secret }, root);
    }
    throw explained(error, keys);
  }
  // The root token is gone with the former data.
  if (others) await store?.(keys);
  else await replaceKeys(keysPath, present);
  const sealed = await isSealedByRestore(client, root, signal);
  return { others, late: sealed ? await openAfter(input, client, present) : [] };
}

/**
 * Opens the replica that restored a snapshot. Returns the names of those that did not seal themselves with it: Vault
 * sometimes forgets one that has the data, and others missed them; both speak to no other until they are restarted.
 */
async function openAfter(input: RestoreInput, active: VaultClient, former: VaultKeys): Promise<string[]> {
  const { keysPath, replicas } = input;
  const late: string[] = [];
  for (const { name, client } of replicas)
    if (await sealStatus(client).then(({ sealed }) => !sealed, isVaultError)) late.push(name);
  const opened = { ...input, replicas: replicas.filter(({ client }) => client === active) };
  try {
    await unsealAll(opened);
  } catch (error) {
    if (!(error instanceof KeysError)) throw error;
    // A restart in between seals it, too, and so does a failure to restore.
    await unsealAll({ ...opened, keysPath: offered(former, keysPath) });
    await replaceKeys(keysPath, former);
    throw new TaskError({
      what: 'Vault did not restore the snapshot',
      why: 'it was sealed with the former data, and is open again with the former keys',
      advice: `see its log, then run ${taskCommand('restore-vault')} again`,
      cause: error,
    });
  }
  return late;
}

function isVaultError(error: unknown): boolean {
  if (error instanceof VaultError) return true;
  throw error;
}

/** Opens Vault with the keys of its place. */
async function manage(input: RestoreInput) {
  const { keysPath, secret } = input;
  const { client } = await initialiseVault(input);
  const root = await rootToken({ client, keysPath, secret }, await requireKeys(client, keysPath));
  return { client, root };
}

/** Keys that are stored only once they have opened Vault. */
const offered = (keys: VaultKeys, place: KeysPlace): KeysPlace => ({
  name: 'the backup',
  path: pathOf(place),
  read: async () => JSON.stringify(keys),
  write: async (changed) => (await reserveKeysFile(place))(changed),
});

const sameKeys = (left: VaultKeys, right: VaultKeys): boolean =>
  JSON.stringify([left.unseal_keys_b64, left.recovery_keys_b64]) ===
  JSON.stringify([right.unseal_keys_b64, right.recovery_keys_b64]);

function explained(error: unknown, keys: VaultKeys | undefined): unknown {
  if (!(error instanceof VaultError) || error.status !== 400 || keys !== undefined) return error;
  return new TaskError({
    what: 'Vault refused the snapshot',
    why: error.why,
    advice: 'the keys of that time are needed: `keys.yaml` beside the snapshot, encrypted with SOPS',
    cause: error,
  });
}
