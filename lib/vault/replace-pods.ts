import { TaskError } from '@k8s-deployment/runner';
import { poll } from '../ground/poll.ts';
import { awaitNewer, isRunning, notBack, type PodSet, type SetPod } from '../kubernetes/on-delete.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { unsealAll } from './api/init.ts';
import { readKeys, type VaultKeys } from './api/keys-file.ts';
import { awaitServing, type Member, membersOf, type Replica, stepDown } from './api/replica.ts';
import { VaultError } from './api/vault-error.ts';
import { keysFileName, keysPlace } from './keys-place.ts';
import { withVaultReplicas } from './replicas.ts';

/** Vault's StatefulSet, with any chart. */
export const vaultSet = { namespace: 'vault', name: 'vault' } as const;

const nameOf = ({ metadata }: SetPod): string => metadata.name;

/**
 * The pod of Vault to replace next, once all others serve: first one that does not serve, then the standbys, the active
 * one last, after it stepped down. Unseals what the keys open. Undefined if there is none, or if the keys are kept
 * elsewhere. Throws `TaskError` with the pod of the newest revision that does not serve within `waitMs` milliseconds.
 */
export async function nextPodOfVault(context: EnvironmentContext, set: PodSet, waitMs = podStartMs) {
  await awaitNewer(context, set, 'running', waitMs);
  const broken = set.older.find((pod) => !isRunning(pod));
  if (broken !== undefined) return broken;
  const keys = await readKeys(keysPlace(context));
  return withVaultReplicas(context, waitMs, { signal: context.signal }, async (replicas) => {
    const first = await membersOf(replicas);
    if (first.every(({ state }) => state?.initialized === false)) return set.older[0];
    if (!canUnseal(first, keys)) return leftToPeople(context, set);
    await unsealEach(context, set, first);
    const members = await awaitServing(replicas, waitMs, context.signal, context.progress);
    const idle = members.filter(({ why }) => why !== undefined);
    const late = idle.find(({ name }) => !set.older.map(nameOf).includes(name));
    if (late !== undefined) throw notBack(context, set, late.name, late.why ?? '');
    await awaitNewer(context, set, 'ready', waitMs);
    const active = members.find(({ state }) => state?.active);
    const [next] = [
      ...set.older.filter((pod) => idle.some(({ name }) => name === nameOf(pod))),
      ...set.older.filter((pod) => nameOf(pod) !== active?.name),
      ...set.older,
    ];
    if (next !== undefined && active?.name === nameOf(next) && replicas.length > 1)
      await handOver(context, active, replicas, keys?.admin_token, waitMs);
    return next;
  });
}

/**
 * Unseals the running pods with the keys that are here, as after a run that was stopped in a replacement. Returns
 * whether any was sealed. Logs why it cannot: the other replicas may serve.
 */
export async function unsealRunning(context: EnvironmentContext): Promise<boolean> {
  try {
    const keys = await readKeys(keysPlace(context));
    return await withVaultReplicas(context, 0, { signal: context.signal }, async (replicas) => {
      const withData = (await membersOf(replicas)).filter(({ state }) => state?.initialized === true);
      return canUnseal(withData, keys) && unsealEach(context, { ...vaultSet, older: [] }, withData);
    });
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    context.log(`Vault may be sealed: ${error.what}`);
    return false;
  }
}

function leftToPeople({ log, environment }: EnvironmentContext, { older, replicas }: PodSet): undefined {
  log(
    `${older.length} of ${replicas} pods of Vault run an older revision, and their unseal keys are not in ${keysFileName(environment)}: delete one after the other, the active one last, each after the one before was unsealed`,
  );
}

/** False if people hold the keys: a replaced pod would stay sealed until they come. */
const canUnseal = (members: readonly Member[], keys: VaultKeys | undefined): boolean =>
  members.some(({ state }) => state?.autoUnseal === true) || (keys?.unseal_keys_b64 ?? []).length > 0;

/**
 * Unseals the sealed ones and returns whether there were any; one without data that is replaced anyway may be unable to
 * join.
 */
async function unsealEach(
  context: EnvironmentContext,
  set: Parameters<typeof notBack>[1],
  members: readonly Member[],
): Promise<boolean> {
  const older = set.older.map(nameOf);
  const replicas = members.filter(({ name, state }) => state && (state.initialized || !older.includes(name)));
  const absent = members.filter((member) => !replicas.includes(member)).map(({ name }) => name);
  const input = { replicas, absent, keysPlace: keysPlace(context), signal: context.signal };
  const opened = await unsealAll(input).catch(async (error: unknown) => {
    if (!(error instanceof TaskError)) throw error;
    const closed = (await membersOf(replicas)).find(({ state }) => state?.sealed !== false);
    throw closed === undefined
      ? error
      : notBack(context, set, closed.name, [error.what, error.why].join(': '), error.advice);
  });
  if (opened.length > 0) context.log(`unsealed: ${opened.join(', ')}`);
  return opened.length > 0;
}

/** Lets another replica become the active one, which is faster than its end. */
async function handOver(
  context: EnvironmentContext,
  { name, client }: Member,
  replicas: readonly Replica[],
  token: string | undefined,
  waitMs: number,
): Promise<void> {
  const others = replicas.filter((replica) => replica.name !== name);
  if (token === undefined) return;
  try {
    await stepDown(client.withToken(token));
  } catch (error) {
    // An older token has this right only after the next init-vault. The replica then steps down when it ends.
    if (!(error instanceof VaultError) || error.status !== 403) throw error;
    return context.log(`${name} is not asked to step down: ${error.why}`);
  }
  const taken = async () => (await membersOf(others)).find(({ state }) => state?.active)?.name;
  const next = await poll(taken, waitMs, context.signal);
  if (next !== undefined) return context.log(`${name} stepped down, ${next} is active`);
  throw new TaskError({
    what: `no replica of Vault took over from ${name}`,
    why: `none became active within ${waitMs / 1000} s`,
    advice: 'see the logs of the others, then install again',
  });
}
