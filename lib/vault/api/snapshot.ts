import { createReadStream, createWriteStream } from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { VaultClient } from './client.ts';
import { type Replica, sealStatus } from './replica.ts';
import { VaultError } from './vault-error.ts';

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
export async function loadSnapshot(
  active: VaultClient,
  file: string,
  force: boolean,
  signal: AbortSignal,
): Promise<void> {
  await active.write(marker, { value: 'here' });
  const path = `sys/storage/raft/${force ? 'snapshot-force' : 'snapshot'}`;
  const answer = await active.stream('POST', path, { body: createReadStream(file), signal });
  await finished(answer.resume());
}

/** Milliseconds for a replica to restore the data after Vault accepted it. */
const restoreMs = 60_000;

/**
 * Waits until each replica has restored a loaded snapshot: the token's marker is gone, or, with other keys, the replica
 * has sealed itself. Throws `TaskError` if it does not end.
 */
export async function waitForRestore(
  replicas: readonly Replica[],
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const isRestored = async ({ client }: Replica): Promise<boolean> => {
    try {
      if ((await sealStatus(client)).sealed === true) return true;
      return (await client.withToken(token).read(marker)) === undefined;
    } catch (error) {
      // Vault no longer knows the token. Anything else is said meanwhile, neither sealed nor open.
      if (error instanceof VaultError) return error.status === 403;
      throw error;
    }
  };
  const all = async () => (await Promise.all(replicas.map(isRestored))).every(Boolean) || undefined;
  if (await poll(all, restoreMs, signal)) return;
  throw new TaskError({
    what: 'Vault does not finish restoring the snapshot',
    why: `after ${restoreMs / 1000} s, a replica still has the former data`,
    advice: `see its log, then run ${taskCommand('init-vault')}`,
  });
}
