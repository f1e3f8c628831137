import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { Outcome } from '../../settings/context.ts';
import type { JsonObject, VaultClient } from './client.ts';
import { dropReservation, nameOf, readKeys, reserveKeysFile, type VaultKeys } from './keys-file.ts';
import { type OpenVaultInput, sealStatus } from './replica.ts';
import { unsealAll } from './unseal.ts';
import { unreadable, VaultError } from './vault-error.ts';

/**
 * Initialises a new Vault with one key share, stores the keys at `keysPath` first, and unseals every sealed replica.
 * A Vault with auto-unseal unseals itself; its recovery key is stored instead. Returns the client of the active
 * replica, to which the others forward, and the names of the unsealed replicas. Throws `TaskError` if the keys are
 * lost, damaged or another Vault's, or if replicas that do not run may be theirs.
 */
export async function initialiseVault(input: OpenVaultInput) {
  const isNew = !(await anyInitialised(input));
  if (isNew) await initialise(input);
  const unsealed = await unsealAll(input);
  return { client: await activeOf(input), initialised: isNew, unsealed };
}

/** Unseals Vault after a restart; leaves a new one alone. Throws `TaskError` as `initialiseVault` does. */
export async function unsealVault(input: OpenVaultInput): Promise<Outcome> {
  if (!(await anyInitialised(input)) || (await unsealAll(input)).length === 0) return 'unchanged';
  await activeOf(input);
  return 'changed';
}

/** Waits until Vault answers, sealed or not. Throws the last `VaultError` after `timeoutMs` milliseconds. */
export async function waitForVault(client: VaultClient, timeoutMs: number, signal?: AbortSignal) {
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

async function anyInitialised({ replicas }: OpenVaultInput): Promise<boolean> {
  const states = await Promise.all(replicas.map(({ client }) => sealStatus(client)));
  return states.some(({ initialized }) => initialized);
}

async function initialise({ replicas, absent = [], keysPath }: OpenVaultInput): Promise<void> {
  const client = replicas[0]?.client;
  if (client === undefined) throw new Error('Expected at least one replica');
  if (absent.length > 0 && (await readKeys(keysPath)) !== undefined) {
    throw new TaskError({
      what: `Vault at ${client.address} is new, but ${nameOf(keysPath)} has keys`,
      why: `${absent.join(', ')} do not run, and may hold the data of these keys, which a new Vault would not share`,
      advice: `start them, then run again; if their data is lost, move ${nameOf(keysPath)} away first`,
    });
  }
  const hasAutoUnseal = (await sealStatus(client)).recovery_seal === true;
  const store = await reserveKeysFile(keysPath);
  let keys: VaultKeys | undefined;
  try {
    // A minute, since the keys of a late answer are lost.
    const { body } = await client.request('PUT', 'sys/init', {
      body: hasAutoUnseal
        ? { recovery_shares: 1, recovery_threshold: 1 }
        : { secret_shares: 1, secret_threshold: 1 },
      timeoutMs: 60_000,
      uninterruptible: true,
    });
    keys = keysOf(body, hasAutoUnseal);
    if (keys === undefined) throw unreadable(client.address, 'PUT sys/init', 'it has no keys');
  } catch (error) {
    // Vault may be initialised without having answered: the reservation records that it was asked.
    if (!(error instanceof VaultError && error.status === undefined)) await dropReservation(keysPath);
    throw error;
  }
  await store(keys);
}

function keysOf(body: JsonObject, hasAutoUnseal: boolean): VaultKeys | undefined {
  const { recovery_keys_base64: recovery, keys_base64: unseal, root_token } = body;
  const shares = hasAutoUnseal ? recovery : unseal;
  if (!Array.isArray(shares) || typeof root_token !== 'string') return undefined;
  const texts = shares.map(String);
  return hasAutoUnseal
    ? { unseal_keys_b64: [], recovery_keys_b64: texts, root_token }
    : { unseal_keys_b64: texts, root_token };
}

/** The active replica: after unsealing, Vault answers 5xx until one replica becomes active. */
export async function activeOf({
  replicas,
  signal,
}: Pick<OpenVaultInput, 'replicas' | 'signal'>): Promise<VaultClient> {
  let last = 'no replica became active';
  const active = await poll(
    async () => {
      for (const { client } of replicas) {
        const answer = await whyNotActive(client);
        if (answer === undefined) return client;
        last = answer;
      }
      return undefined;
    },
    60_000,
    signal,
  );
  if (active !== undefined) return active;
  throw new TaskError({
    what: `Vault at ${replicas.map(({ client }) => client.address).join(', ')} is unsealed but does not become active`,
    why: `after a minute, the last answer was: ${last}`,
    advice: `check the logs of Vault, then run ${taskCommand('init-vault')} again`,
  });
}

/** Why the replica is not active, such as `HTTP 503`; undefined if it is. */
async function whyNotActive(client: VaultClient): Promise<string | undefined> {
  try {
    const { status } = await client.request('GET', 'sys/health');
    return status === 200 ? undefined : `HTTP ${status}`;
  } catch (error) {
    if (error instanceof VaultError && error.status !== undefined) return `HTTP ${error.status}`;
    throw error;
  }
}
