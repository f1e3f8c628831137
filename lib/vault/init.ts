import { TaskError } from '../runner/runner.ts';
import type { JsonObject, VaultClient } from './client.ts';
import { readKeys, reserveKeysFile, type VaultKeys } from './keys-file.ts';
import { poll } from './poll.ts';
import { VaultError } from './vault-error.ts';

export type VaultKeysInput = {
  readonly client: VaultClient;
  /** Where the keys are kept, mode 0600. */
  readonly keysPath: string;
  readonly signal?: AbortSignal;
};

export type InitialisedVault = {
  /** The token of the keys file. */
  readonly token: string;
  /** Whether this call initialised Vault. */
  readonly initialised: boolean;
  /** Whether this call unsealed Vault. */
  readonly unsealed: boolean;
};

/**
 * Brings Vault to "initialised, unsealed and answering": initialises it with one key share when it is new (the keys are
 * safe at `keysPath` before anything else happens), unseals it when it is sealed, and checks the token.
 * Throws `TaskError` when the keys are lost, damaged or another Vault's.
 */
export async function initialiseVault(input: VaultKeysInput): Promise<InitialisedVault> {
  const { client, keysPath } = input;
  const status = await sealStatus(client);
  const initialised = status.initialized !== true;
  const keys = initialised ? await initialise(input) : await readKeys(keysPath);
  if (keys === undefined) throw keysLost(client, keysPath);
  const sealed = initialised || status.sealed === true;
  if (sealed) await unseal(client, keys, keysPath);
  await waitUntilActive(client.withToken(keys.rootToken), keysPath, input.signal);
  return { token: keys.rootToken, initialised, unsealed: sealed };
}

/**
 * Unseals an initialised Vault, for a start after a stop. `new` when it was never initialised: nothing is done then.
 * Throws `TaskError` as `initialiseVault` does.
 */
export async function unsealVault(input: VaultKeysInput): Promise<'changed' | 'unchanged' | 'new'> {
  const { client, keysPath } = input;
  const status = await sealStatus(client);
  if (status.initialized !== true) return 'new';
  if (status.sealed !== true) return 'unchanged';
  const keys = await readKeys(keysPath);
  if (keys === undefined) throw keysLost(client, keysPath);
  await unseal(client, keys, keysPath);
  await waitUntilActive(client.withToken(keys.rootToken), keysPath, input.signal);
  return 'changed';
}

/** Waits until Vault answers at all, sealed or not. Throws the last `VaultError` after `timeoutMs` milliseconds. */
export async function waitForVault(
  client: VaultClient,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  let last: unknown;
  const answered = await poll(
    () =>
      sealStatus(client).catch((error: unknown) => {
        if (!(error instanceof VaultError)) throw error;
        last = error;
        return undefined;
      }),
    timeoutMs,
    signal,
  );
  if (answered === undefined) throw last;
}

/** `GET sys/seal-status`, which needs no token and answers in every state: `initialized`, `sealed`, `version`, … */
export async function sealStatus(client: VaultClient): Promise<JsonObject> {
  return (await client.request('GET', 'sys/seal-status')).body;
}

async function initialise({ client, keysPath }: VaultKeysInput): Promise<VaultKeys> {
  const file = await reserveKeysFile(keysPath);
  let keys: VaultKeys | undefined;
  try {
    // A minute, since an answer that comes too late is lost for good.
    const { body } = await client.request('PUT', 'sys/init', {
      body: { secret_shares: 1, secret_threshold: 1 },
      timeoutMs: 60_000,
      uninterruptible: true,
    });
    if (Array.isArray(body.keys_base64) && typeof body.root_token === 'string') {
      keys = { unsealKeys: body.keys_base64.map(String), rootToken: body.root_token };
    }
  } catch (error) {
    await file.discard();
    throw error;
  }
  if (keys === undefined) {
    await file.discard();
    throw new TaskError({ what: `Vault at ${client.address} was initialised but gave no keys` });
  }
  await file.store(keys);
  return keys;
}

async function unseal(client: VaultClient, keys: VaultKeys, keysPath: string): Promise<void> {
  let sealed: unknown = true;
  try {
    for (const key of keys.unsealKeys) {
      const answer = await client.request('PUT', 'sys/unseal', { body: { key }, secrets: keys.unsealKeys });
      sealed = answer.body.sealed;
      if (sealed === false) return;
    }
  } catch (error) {
    if (!(error instanceof VaultError) || error.status === undefined) throw error;
    throw wrongKeys(client, keysPath, error.errors.join('; ') || `HTTP ${error.status}`);
  }
  throw wrongKeys(client, keysPath, `it is still sealed after ${keys.unsealKeys.length} of the keys`);
}

/** Right after unsealing, a Vault with raft or a standby answers 5xx for a while. */
async function waitUntilActive(
  client: VaultClient,
  keysPath: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  let last: unknown;
  const active = await poll(
    async () => {
      try {
        await client.request('GET', 'auth/token/lookup-self');
        return true;
      } catch (error) {
        if (error instanceof VaultError && error.status === 403) {
          throw new TaskError({
            what: `Vault at ${client.address} refuses the token of ${keysPath}`,
            why: error.errors.join('; ') || 'permission denied',
            advice: 'restore the keys file that belongs to this Vault',
            cause: error,
          });
        }
        if (!(error instanceof VaultError) || error.status === undefined || error.status < 500) throw error;
        last = error;
        return undefined;
      }
    },
    30_000,
    signal,
  );
  if (active === undefined) throw last;
}

function keysLost(client: VaultClient, keysPath: string): TaskError {
  return new TaskError({
    what: `Vault at ${client.address} is initialised, but its keys are not in ${keysPath}`,
    why: 'Vault tells its keys only once; without them its data cannot be read',
    advice: 'restore the file from a copy, or start over: `destroy-environment`, then `create-environment`',
  });
}

function wrongKeys(client: VaultClient, keysPath: string, reason: string): TaskError {
  return new TaskError({
    what: `Vault at ${client.address} stays sealed: the keys of ${keysPath} do not open it`,
    why: reason,
    advice:
      'the file belongs to other data: restore the right one, or `destroy-environment` and `create-environment`',
  });
}
