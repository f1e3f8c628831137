import { createReadStream, createWriteStream } from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { VaultClient } from './client.ts';
import { initialiseVault, unsealAll } from './init.ts';
import { type KeysPlace, replaceKeys, reserveKeysFile, type VaultKeys } from './keys-file.ts';
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

/** The same for the other replicas, after the one that accepted it, which waits 5 s for them. */
const followMs = 5_000;

/**
 * Waits until a replica has restored a snapshot: it has sealed itself, or no longer finds the token's marker, for which
 * a standby asks the active one. Undefined if that does not come.
 */
const restoredState = (client: VaultClient, token: string, waitMs: number, signal: AbortSignal) =>
  poll(
    async () => {
      try {
        if ((await sealStatus(client)).sealed) return 'sealed';
        return (await client.withToken(token).read(marker)) === undefined ? 'open' : undefined;
      } catch (error) {
        // Vault no longer knows the token. Anything else is said meanwhile, neither sealed nor open.
        if (error instanceof VaultError) return error.status === 403 ? 'open' : undefined;
        throw error;
      }
    },
    waitMs,
    signal,
  );

type RestoreInput = OpenVaultInput & {
  readonly file: string;
  /** The keys that open the snapshot; undefined if they are those of the running Vault. */
  readonly keys: VaultKeys | undefined;
  readonly signal: AbortSignal;
};

/**
 * Replaces Vault's storage by a snapshot, and the keys file by the snapshot's keys; a new Vault is initialised first.
 * Returns whether the keys are others, which seals Vault, and the names of replicas to restart. Throws `TaskError`
 * without any change if Vault refuses the snapshot. The former keys stay until those of the snapshot have opened Vault:
 * they have no other copy, so after a killed run, the same restore opens it.
 */
export async function restoreSnapshot(input: RestoreInput) {
  const { file, keys, keysPlace, replicas, signal } = input;
  const { client, root } = await manage(input).catch((error) => {
    if (keys === undefined || !(error instanceof KeysError)) throw error;
    return manage({ ...input, keysPlace: offered(keys, keysPlace) });
  });
  const { root_token: _, ...present } = await requireKeys(client, keysPlace);
  const others = keys !== undefined && !sameKeys(keys, present);
  const place = others ? offered(keys, keysPlace) : keysPlace;
  // With auto-unseal, the key service opens the snapshot of any Vault that uses it.
  const force = others && present.recovery_keys_b64 === undefined;
  try {
    await loadSnapshot(client.withToken(root), file, force, signal);
  } catch (error) {
    // Refused, so that nothing was changed; otherwise the token may be gone.
    if (error instanceof VaultError && error.status !== undefined) await endRoot(client, keysPlace, root);
    if (!(error instanceof VaultError) || error.status !== 400 || keys !== undefined) throw error;
    throw new TaskError({
      what: 'Vault refused the snapshot',
      why: error.why,
      advice: 'the keys of that time are needed: `keys.yaml` beside the snapshot, encrypted with SOPS',
      cause: error,
    });
  }
  const state = await restoredState(client, root, restoreMs, signal);
  if (state === undefined) throw notRestored(`after ${restoreMs / 1000} s, it still has the former data`);
  // Vault sometimes leaves one out, and others missed the data; both follow no other until they are restarted.
  const states = replicas.map(async (replica) => ({
    ...replica,
    state: replica.client === client ? state : await restoredState(replica.client, root, followMs, signal),
  }));
  const late = (await Promise.all(states)).filter((other) => other.state !== state).map(({ name }) => name);
  if (state === 'sealed') {
    const restored = { ...input, replicas: replicas.filter((replica) => replica.client === client) };
    if (!(force && (await opens({ ...restored, keysPlace: place })))) {
      await unsealAll(restored);
      throw notRestored('it was restarted or failed meanwhile, and is open again with the former keys');
    }
  }
  // The root token is gone with the former data.
  await replaceKeys(place, others ? keys : present);
  return { others, late };
}

/** Unseals; false if the keys do not. */
const opens = (input: OpenVaultInput): Promise<boolean> =>
  unsealAll(input).then(
    () => true,
    (error: unknown) => {
      if (error instanceof KeysError) return false;
      throw error;
    },
  );

const notRestored = (why: string): TaskError =>
  new TaskError({
    what: 'Vault did not restore the snapshot',
    why,
    advice: `see its log, then run ${taskCommand('restore-vault')} again`,
  });

/** Opens Vault with the keys of its place. */
async function manage(input: RestoreInput) {
  const { client } = await initialiseVault(input);
  return { client, root: await rootToken(client, input.keysPlace) };
}

/** Keys that are stored only once they have opened Vault. */
const offered = (keys: VaultKeys, place: KeysPlace): KeysPlace => ({
  ...{ ...place, name: 'the backup' },
  encrypted: {
    read: async () => JSON.stringify(keys),
    write: async (changed) => (await reserveKeysFile(place))(changed),
  },
});

const sameKeys = (left: VaultKeys, right: VaultKeys): boolean =>
  JSON.stringify([left.unseal_keys_b64, left.recovery_keys_b64]) ===
  JSON.stringify([right.unseal_keys_b64, right.recovery_keys_b64]);
