import { TaskError } from '@k8s-deployment/runner';
import { initialiseVault } from './init.ts';
import {
  contentOf,
  dropReservation,
  type KeysPlace,
  parseKeys,
  pathOf,
  replaceKeys,
  reserveKeysFile,
  type VaultKeys,
} from './keys-file.ts';
import { endRoot, rootToken } from './operator.ts';
import { type OpenVaultInput, requireKeys } from './replica.ts';
import { loadSnapshot, waitForRestore } from './snapshot.ts';
import { KeysError, VaultError } from './vault-error.ts';

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
 * refuses the snapshot. After a killed run, Vault may have the snapshot's data already, but not the keys file its keys.
 */
export async function restoreSnapshot(input: RestoreInput): Promise<boolean> {
  const { file, keys, keysPath, replicas, secret, signal } = input;
  const { client, root } = await manage(input).catch((error) => {
    if (keys === undefined || !(error instanceof KeysError)) throw error;
    return manage({ ...input, keysPath: offered(keys, keysPath) });
  });
  const { rootToken: _, ...present } = await requireKeys(client, keysPath);
  const others = keys !== undefined && !sameKeys(keys, present);
  const store = others ? await reserveKeysFile(keysPath) : undefined;
  try {
    // With auto-unseal, the key service opens the snapshot of any Vault that uses it.
    const force = others && present.recoveryKeys === undefined;
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
  await waitForRestore(replicas, root, signal);
  return others;
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
  read: async () => JSON.stringify(contentOf(keys)),
  write: async (content) =>
    (await reserveKeysFile(place))({ ...keys, ...parseKeys(JSON.stringify(content)) }),
});

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
