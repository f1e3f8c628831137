import { createReadStream, createWriteStream } from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { VaultClient } from './client.ts';
import { type Replica, sealStatus } from './replica.ts';
import { VaultError } from './vault-error.ts';

/* Snapshots of Vault's raft storage (https://developer.hashicorp.com/vault/api-docs/system/storage/raft). */

export type SnapshotInput = {
  /** The active replica. */
  readonly client: VaultClient;
  readonly token: string;
  readonly file: string;
  readonly signal: AbortSignal;
};

/** Writes a snapshot to a new file of mode 0600. Throws `VaultError`. */
export async function saveSnapshot({ client, token, file, signal }: SnapshotInput): Promise<void> {
  const answer = await client.withToken(token).stream('GET', 'sys/storage/raft/snapshot', { signal });
  await pipeline(answer, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
}

/** A path of the token's own, which no snapshot has. */
const marker = 'cubbyhole/before-the-restore';

/**
 * Replaces Vault's storage; `force` skips Vault's check that its present keys open the snapshot. Vault restores it only
 * after its answer. Throws `VaultError`.
 */
export async function loadSnapshot(
  { client, token, file, signal }: SnapshotInput,
  force: boolean,
): Promise<void> {
  const withToken = client.withToken(token);
  await withToken.write(marker, { value: 'here' });
  const path = `sys/storage/raft/${force ? 'snapshot-force' : 'snapshot'}`;
  const answer = await withToken.stream('POST', path, { body: createReadStream(file), signal });
  await finished(answer.resume());
}

/** Milliseconds for a replica to restore the data after Vault accepted it. */
const restoreMs = 60_000;

/**
 * Waits until each replica has restored a loaded snapshot: the token's marker is gone, or, with other keys, the replica
 * has sealed itself. Throws `TaskError` if it does not end.
 */
export async function waitForRestore(
  { token, signal }: Pick<SnapshotInput, 'token' | 'signal'>,
  replicas: readonly Replica[],
): Promise<void> {
  const isRestored = async (replica: Replica): Promise<boolean> => {
    try {
      if ((await sealStatus(replica.client)).sealed === true) return true;
      return (await replica.client.withToken(token).read(marker)) === undefined;
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
