import { rm } from 'node:fs/promises';
import type { Context } from '../settings/context.ts';
import { restoreSnapshot } from '../vault/api/restore.ts';
import { writtenPath } from '../vault/desired.ts';
import { answerMs, initVault, redactKeys, withAnsweringReplicas } from '../vault/init-vault.ts';
import { keysFileName, keysPlace } from '../vault/keys-place.ts';
import { existingPlace } from './place.ts';
import { checkSnapshot, snapshotFile } from './vault.ts';
import { readStoredKeys } from './vault-keys.ts';

/**
 * Replaces everything in Vault by a backup, opens it with the keys of that time, and brings it to the desired state.
 * Throws `TaskError` before any change if the backup is damaged or cannot be opened.
 */
export async function restoreVault(context: Context, named: string): Promise<void> {
  const { environment, signal } = context;
  const folder = await existingPlace(named);
  const file = snapshotFile(folder);
  await checkSnapshot(context, file);
  const keys = await readStoredKeys(context, folder);
  await redactKeys(context);
  await withAnsweringReplicas(context, answerMs, async (replicas, absent) => {
    // What the snapshot's Vault was given may be older, such as a password.
    await rm(writtenPath(environment), { force: true });
    const secret = (text: string) => context.secret(text);
    const input = { replicas, absent, keysPath: keysPlace(context), file, keys, secret, signal };
    if (await restoreSnapshot(input))
      context.log(`its keys are now in ${keysFileName(environment)}; on a shared cluster, commit it`);
  });
  await initVault(context);
  context.report('changed');
}
