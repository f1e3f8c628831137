import { TaskError } from '@k8s-deployment/runner';
import { initialiseVault } from './init.ts';
import { replaceKeys, reserveKeysFile, type VaultKeys } from './keys-file.ts';
import { endRoot, rootToken } from './operator.ts';
import { type OpenVaultInput, requireKeys } from './replica.ts';
import { requireRaft, restoreData } from './snapshot.ts';
import { VaultError } from './vault-error.ts';

export type RestoreInput = OpenVaultInput & {
  readonly file: string;
  /** The keys that open the snapshot; undefined if they are those of the running Vault. */
  readonly keys: VaultKeys | undefined;
  /** Called with each secret before it is used. */
  readonly secret: (text: string) => void;
  readonly signal: AbortSignal;
};

/**
 * Replaces Vault's storage by a snapshot, and the keys file by the snapshot's keys; a new Vault is initialised first.
 * With other keys, Vault is sealed afterwards, and `true` is returned. Throws `TaskError` without any change if Vault
 * refuses the snapshot.
 */
export async function restoreSnapshot(input: RestoreInput): Promise<boolean> {
  const { file, keys, keysPath, replicas, secret, signal } = input;
  const { client } = await initialiseVault(input);
  await requireRaft(client);
  const access = { client, keysPath, secret };
  const root = await rootToken(access, await requireKeys(client, keysPath));
  const { rootToken: _, ...present } = await requireKeys(client, keysPath);
  const others = keys !== undefined && !sameKeys(keys, present);
  try {
    // With auto-unseal, the key service opens the snapshot of any Vault that uses it.
    const force = others && present.recoveryKeys === undefined;
    await restoreData({ client, token: root, file, signal }, force, replicas);
  } catch (error) {
    // Refused, so that nothing was changed; otherwise the token may be gone.
    if (error instanceof VaultError) await endRoot(access, root);
    throw explained(error, keys);
  }
  // The root token is gone with the former data.
  if (others) await (await reserveKeysFile(keysPath))(keys);
  else await replaceKeys(keysPath, present);
  return others;
}

const sameKeys = (left: VaultKeys, right: VaultKeys): boolean =>
  JSON.stringify([left.unsealKeys, left.recoveryKeys]) ===
  JSON.stringify([right.unsealKeys, right.recoveryKeys]);

function explained(error: unknown, keys: VaultKeys | undefined): unknown {
  if (!(error instanceof VaultError) || error.status !== 400 || keys !== undefined) return error;
  return new TaskError({
    what: 'Vault refused the snapshot',
    why: error.errors.join('; '),
    advice: 'the keys of that time are needed: `keys.yaml` beside the snapshot, encrypted with SOPS',
    cause: error,
  });
}
