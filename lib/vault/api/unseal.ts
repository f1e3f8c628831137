import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { JsonObject, VaultClient } from './client.ts';
import { type KeysPlace, nameOf } from './keys-file.ts';
import { type OpenVaultInput, type Replica, requireKeys, type SealStatus, sealStatus } from './replica.ts';
import { KeysError, unreadable, VaultError } from './vault-error.ts';

/** Milliseconds for a replica to find its leader, and again for its first data. */
const joinMs = 60_000;

/**
 * Unseals every sealed replica of an initialised Vault and returns their names. Replicas with data come first: one
 * without can only join an unsealed one.
 */
export async function unsealAll(input: OpenVaultInput): Promise<string[]> {
  const states = await Promise.all(
    input.replicas.map(async (replica) => ({ replica, state: await sealStatus(replica.client) })),
  );
  const sealed = states.filter(({ state }) => state.sealed);
  const known = sealed.filter(({ state }) => state.initialized);
  const joining = sealed.filter(({ state }) => !state.initialized);
  const unsealed: string[] = [];
  for (const { replica } of [...known, ...joining]) {
    await waitUntilJoined(replica, input);
    if (await unsealOne(replica, input)) unsealed.push(replica.name);
  }
  return unsealed;
}

/** True if this call unsealed it; false if Vault or somebody else did. */
async function unsealOne({ client }: Replica, { keysPath, signal }: OpenVaultInput): Promise<boolean> {
  const state = await sealStatus(client);
  if (!state.sealed) return false;
  if (state.recovery_seal === true) {
    if (await becomes(client, ({ sealed }) => !sealed, signal)) return false;
    throw new TaskError({
      what: `Vault at ${client.address} stays sealed`,
      why: `its seal \`${String(state.type)}\` did not unseal it within ${joinMs / 1000} s`,
      advice: 'check the log of Vault: the key service has to be reachable and to have its key',
    });
  }
  const { unseal_keys_b64: unsealKeys } = await requireKeys(client, keysPath);
  if (unsealKeys.length === 0) {
    throw new KeysError({
      what: `Vault at ${client.address} is sealed, and ${nameOf(keysPath)} holds no unseal key`,
      why: 'the keys are kept elsewhere',
      advice: 'have their owner run `vault operator unseal` for each pod of Vault',
    });
  }
  let answer: JsonObject = state;
  try {
    for (const key of unsealKeys) {
      // A joining replica answers only once it has joined.
      const request = { body: { key }, secrets: unsealKeys, timeoutMs: joinMs };
      answer = (await client.request('PUT', 'sys/unseal', request)).body;
      if (typeof answer.sealed !== 'boolean')
        throw unreadable(client.address, 'PUT sys/unseal', 'it does not say if Vault is sealed');
      if (!answer.sealed) return true;
    }
  } catch (error) {
    // Vault's answer to a wrong key; any other status is about Vault itself.
    if (!(error instanceof VaultError) || error.status !== 400) throw error;
    throw wrongKeys(client, keysPath, error.errors.join('; ') || 'HTTP 400');
  }
  // With all keys entered, it stays sealed only until it has its first data.
  const isJoining = answer.storage_type === 'raft' && answer.progress === 0;
  if (isJoining && (await becomes(client, ({ sealed }) => !sealed, signal))) return true;
  throw wrongKeys(client, keysPath, `it is still sealed after ${unsealKeys.length} of the keys`);
}

/** Resolves to true once Vault's status agrees; false after a minute. */
async function becomes(client: VaultClient, is: (status: SealStatus) => boolean, signal?: AbortSignal) {
  const says = async () => is(await sealStatus(client)) || undefined;
  return (await poll(says, joinMs, signal)) === true;
}

async function waitUntilJoined({ name, client }: Replica, { signal }: OpenVaultInput): Promise<void> {
  if (await becomes(client, ({ initialized }) => initialized, signal)) return;
  throw new TaskError({
    what: `${name} of Vault does not join the other replicas`,
    why: `it found no leader within ${joinMs / 1000} s`,
    advice: 'its configuration needs a `retry_join` for each of the others; check its log',
  });
}

function wrongKeys(client: VaultClient, keysPath: KeysPlace, reason: string): KeysError {
  return new KeysError({
    what: `Vault at ${client.address} stays sealed: the keys of ${nameOf(keysPath)} do not open it`,
    why: reason,
    advice: `they belong to other data: after an interrupted ${taskCommand('restore-vault')}, run it again, since the backup has the right ones; otherwise restore the file, or ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
  });
}
