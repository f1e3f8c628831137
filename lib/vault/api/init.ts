import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { poll } from '../../ground/poll.ts';
import type { Outcome } from '../../settings/context.ts';
import type { JsonObject, VaultClient } from './client.ts';
import { dropReservation, type KeysPlace, readKeys, reserveKeysFile, type VaultKeys } from './keys-file.ts';
import { type OpenVaultInput, type Replica, requireKeys, type SealStatus, sealStatus } from './replica.ts';
import { KeysError, unreadable, VaultError } from './vault-error.ts';

/**
 * Initialises a new Vault with one key share, stores the keys at `keysPlace` first, and unseals every sealed replica.
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

async function initialise({ replicas, absent = [], keysPlace }: OpenVaultInput): Promise<void> {
  const client = replicas[0]?.client;
  if (client === undefined) throw new Error('Expected at least one replica');
  if (absent.length > 0 && (await readKeys(keysPlace)) !== undefined) {
    throw new TaskError({
      what: `Vault at ${client.address} is new, but ${keysPlace.name} has keys`,
      why: `${absent.join(', ')} do not run, and may hold the data of these keys, which a new Vault would not share`,
      advice: `start them, then run again; if their data is lost, move ${keysPlace.name} away first`,
    });
  }
  const hasAutoUnseal = (await sealStatus(client)).recovery_seal === true;
  const store = await reserveKeysFile(keysPlace);
  const request = {
    body: hasAutoUnseal
      ? { recovery_shares: 1, recovery_threshold: 1 }
      : { secret_shares: 1, secret_threshold: 1 },
    // A minute, since the keys of a late answer are lost.
    timeoutMs: 60_000,
    uninterruptible: true,
  };
  const { body } = await client.request('PUT', 'sys/init', request).catch(async (error: unknown) => {
    // Vault may be initialised without having answered: the reservation records that it was asked.
    if (!(error instanceof VaultError && error.status === undefined)) await dropReservation(keysPlace.path);
    throw error;
  });
  const keys = keysOf(body, hasAutoUnseal);
  if (keys === undefined) throw unreadable(client.address, 'PUT sys/init', 'it has no keys');
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

/** Milliseconds for a replica to find its leader, and again for its first data. */
const joinMs = 60_000;

/**
 * Unseals every sealed replica of an initialised Vault and returns their names. Replicas with data come first: one
 * without can only join an unsealed one. Throws `KeysError` if the keys do not open one, after the others with data.
 */
export async function unsealAll(input: OpenVaultInput): Promise<string[]> {
  const states = await Promise.all(
    input.replicas.map(async (replica) => ({ replica, state: await sealStatus(replica.client) })),
  );
  const sealed = states.filter(({ state }) => state.sealed);
  const known = sealed.filter(({ state }) => state.initialized);
  const joining = sealed.filter(({ state }) => !state.initialized);
  const unsealed: string[] = [];
  const closed = new Map<string, KeysError>();
  for (const { replica, state } of [...known, ...joining]) {
    if (!state.initialized && closed.size > 0) break;
    const opened = await unsealOne(replica, input);
    if (opened instanceof KeysError) closed.set(replica.name, opened);
    else if (opened) unsealed.push(replica.name);
  }
  if (closed.size > 0) throw await closedError(closed, input);
  return unsealed;
}

/** The error for replicas that the keys do not open: if the others serve, they can take the data of those. */
async function closedError(closed: ReadonlyMap<string, KeysError>, input: OpenVaultInput) {
  const { replicas, absent = [], keysPlace } = input;
  const [first] = closed.values();
  const isMinority = closed.size * 2 < replicas.length + absent.length;
  if (!isMinority || !(await activeOf(input).catch(() => false))) return first;
  const pods = [...closed.keys()];
  const claims = pods.map((name) => `data-${name}`);
  return new KeysError({
    what: `the keys of ${keysPlace.name} do not open ${pods.join(', ')}, while the other replicas of Vault serve`,
    why: first?.why,
    advice: `after a restore that it missed, give it the data of the others, in the shell of ${taskCommand('env')}: \`kubectl -n vault delete pvc ${claims.join(' ')} --wait=false\`, \`kubectl -n vault delete pod ${pods.join(' ')}\`, then ${taskCommand('init-vault')}; otherwise restore the file`,
    cause: first,
  });
}

/** True if this call unsealed it; false if Vault or somebody else did; the error if the keys belong to other data. */
async function unsealOne({ name, client }: Replica, { keysPlace, signal }: OpenVaultInput) {
  const state = await statusWhen(client, ({ initialized }) => initialized, signal);
  if (state === undefined)
    throw new TaskError({
      what: `${name} of Vault does not join the other replicas`,
      why: `it found no leader within ${joinMs / 1000} s`,
      advice: 'its configuration needs a `retry_join` for each of the others; check its log',
    });
  if (!state.sealed) return false;
  const isOpen = () => statusWhen(client, ({ sealed }) => !sealed, signal);
  if (state.recovery_seal === true) {
    if (await isOpen()) return false;
    throw new TaskError({
      what: `Vault at ${client.address} stays sealed`,
      why: `its seal \`${String(state.type)}\` did not unseal it within ${joinMs / 1000} s`,
      advice: 'check the log of Vault: the key service has to be reachable and to have its key',
    });
  }
  const { unseal_keys_b64: unsealKeys } = await requireKeys(client, keysPlace);
  if (unsealKeys.length === 0) {
    throw new KeysError({
      what: `Vault at ${client.address} is sealed, and ${keysPlace.name} holds no unseal key`,
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
    return wrongKeys(client, keysPlace, error.why);
  }
  // With all keys entered, it stays sealed only until it has its first data.
  const isJoining = answer.storage_type === 'raft' && answer.progress === 0;
  if (isJoining && (await isOpen())) return true;
  return wrongKeys(client, keysPlace, `it is still sealed after ${unsealKeys.length} of the keys`);
}

/** Vault's status once `is` accepts it; undefined after a minute. */
const statusWhen = (client: VaultClient, is: (status: SealStatus) => boolean, signal?: AbortSignal) =>
  poll(() => sealStatus(client).then((status) => (is(status) ? status : undefined)), joinMs, signal);

function wrongKeys(client: VaultClient, keysPlace: KeysPlace, why: string | undefined): KeysError {
  return new KeysError({
    what: `Vault at ${client.address} stays sealed: the keys of ${keysPlace.name} do not open it`,
    why,
    advice: `they belong to other data: after an interrupted ${taskCommand('restore-vault')}, run it again, since the backup has the right ones; otherwise restore the file, or ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
  });
}
