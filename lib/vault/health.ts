import { TaskError } from '@k8s-deployment/runner';
import { serverIdentity } from '../database/certificate.ts';
import { taskCommand } from '../ground/launcher.ts';
import type { Tree } from '../ground/tree.ts';
import type { Release } from '../helm/helmfile.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { objectOf, type VaultClient } from './api/client.ts';
import { policyObject, removedApplications, structuralObjects } from './api/converge.ts';
import { readSecret } from './api/key-values.ts';
import { readKeys } from './api/keys-file.ts';
import { awaitServing, type Replica, sealStatus } from './api/replica.ts';
import type { DesiredState } from './api/state-schema.ts';
import { VaultError } from './api/vault-error.ts';
import { differenceOf } from './api/vault-object.ts';
import { desiredState, vaultSettings } from './desired.ts';
import { keysFileName, keysPlace } from './keys-place.ts';
import { hasVault, withVaultReplicas } from './replicas.ts';

type HealthContext = ShellContext & Pick<EnvironmentContext, 'log' | 'secret'>;

/** Field `vault` of `status --json`. */
export type VaultStatus = {
  readonly initialized: boolean;
  readonly sealed: boolean;
  /** True if the desired objects exist, none of removed applications, and no other authority; null if unknown. */
  readonly configured: boolean | null;
};

/** Milliseconds for a replica to follow the active one, as after a restart. */
const followMs = 5000;

/** Vault's part of `status`. Throws `TaskError` if Vault cannot be reached. */
export async function readVaultStatus(context: HealthContext): Promise<VaultStatus> {
  const { environment } = context;
  let noKeys = `its keys are not in ${keysFileName(environment)}`;
  const keys = await readKeys(keysPlace(context)).catch((error: Error) => {
    noKeys = error.message;
    return undefined;
  });
  const token = keys?.admin_token;
  const state = await desiredState(environment);
  const settings = vaultSettings(await loadSettings(environment));
  const client = { timeoutMs: 3000, ...(token && { token }) };
  return withVaultReplicas(context, 0, client, async (replicas) => {
    const { authority } = await serverIdentity({ ...context, settings });
    const { configured: found, ...states } = await vaultStatus(replicas, state, settings, authority);
    const members = replicas.length > 1 && !states.sealed ? await awaitServing(replicas, followMs) : [];
    for (const { name, why } of members)
      if (why !== undefined)
        context.log(
          `${name} of Vault does not serve: ${why}; if that lasts: \`${kubectlText(environment)} -n vault delete pod ${name}\`, then ${taskCommand('init-vault')}`,
        );
    // Keys without the token of `init-vault` mean that it was interrupted.
    const configured = keys !== undefined && token === undefined ? false : found;
    if (typeof configured === 'boolean') return { ...states, configured };
    context.log(`unknown: whether Vault is configured (${keys === undefined ? noKeys : configured})`);
    return { ...states, configured: null };
  });
}

/** True if an initialised Vault exists. Throws `TaskError` if it does not answer. */
export async function isInitialised(context: HealthContext): Promise<boolean> {
  if (!(await hasVault(context))) return false;
  return (await readVaultStatus(context)).initialized;
}

/**
 * Throws `TaskError` if a release in `changed` gets its secrets from a Vault that is sealed, new or unreachable: it
 * would wait until its timeout. Logs if Vault is not as its state file says.
 */
export async function checkVault(context: HealthContext, changed: readonly Release[]): Promise<void> {
  const { name } = context.environment;
  const waiting = changed
    .filter(({ needs }) => needs.includes('vault/vault-operator'))
    .map(({ name }) => name);
  if (waiting.length === 0) return;
  const why = `${waiting.join(', ')} would wait for secrets from it; nothing was changed`;
  const status = await readVaultStatus(context).catch((error: unknown) => {
    if (!(error instanceof TaskError)) throw error;
    throw new TaskError({
      what: `Vault of environment \`${name}\` does not answer`,
      why: `${error.what}; ${why}`,
      advice: `run ${taskCommand('create-environment')}, which starts or installs Vault, then install again`,
    });
  });
  if (status.configured === false && status.initialized && !status.sealed)
    context.log(`Vault is not configured as vault/state.yaml says: run ${taskCommand('init-vault')}`);
  // If only some replicas are sealed, the others still serve.
  if (status.initialized && (!status.sealed || status.configured !== false)) return;
  throw new TaskError({
    what: `Vault of environment \`${name}\` is ${status.initialized ? 'sealed' : 'not initialised'}`,
    why,
    advice: `run ${taskCommand('init-vault')}, then install again`,
  });
}

/**
 * Reads Vault's status; `sealed` if any replica is, `configured` may be the reason why it is unknown. Throws
 * `VaultError` if a replica does not answer. The clients have the token and should have a short timeout; `authority` is
 * the database's.
 */
export async function vaultStatus(
  replicas: readonly Replica[],
  state: DesiredState,
  settings: Tree,
  authority: string,
) {
  const answers = await Promise.all(replicas.map(({ client }) => sealStatus(client)));
  const initialized = answers.some((answer) => answer.initialized);
  const sealed = answers.length === 0 || answers.some((answer) => answer.sealed);
  let configured: boolean | string = false;
  for (const { client } of replicas.filter((_, index) => answers[index]?.sealed === false)) {
    configured = await isConfigured(client, state, settings, authority);
    // A replica that was just unsealed may not have found its leader: another one may know.
    if (typeof configured === 'boolean') break;
  }
  return { initialized, sealed, configured };
}

/** True if Vault is as desired; otherwise false, or why that is unknown. */
async function isConfigured(
  client: VaultClient,
  state: DesiredState,
  settings: Tree,
  authority: string,
): Promise<boolean | string> {
  try {
    const objects = structuralObjects(client, state, settings);
    for (const object of [policyObject(client, state.operator.policy), ...objects])
      if ((await differenceOf(object)) !== undefined) return false;
    for (const { path, connections } of state.mounts)
      for (const { name } of connections) {
        const { connection_details } = (await client.read(`${path}/config/${name}`)) ?? {};
        if (objectOf(connection_details)?.tls_ca !== authority) return false;
      }
    for (const { path } of state.auth)
      if ((await client.read(`auth/${path}/config`)) === undefined) return false;
    for (const secret of state.keyValues) {
      const { data } = await readSecret(client, secret.mount, secret.path);
      if (!secret.values.every(({ name }) => typeof data?.[name] === 'string' && data[name] !== ''))
        return false;
    }
    return (await removedApplications(client, state)).length === 0;
  } catch (error) {
    // No answer, no right to read, or sealed meanwhile.
    if (error instanceof VaultError) return error.message;
    // An engine of another type is not as desired.
    if (error instanceof TaskError) return false;
    throw error;
  }
}
