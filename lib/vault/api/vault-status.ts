import { TaskError } from '@k8s-deployment/runner';
import type { Tree } from '../../ground/tree.ts';
import type { VaultClient } from './client.ts';
import { structuralObjects } from './converge.ts';
import type { DesiredState } from './desired-state.ts';
import { readSecret } from './key-values.ts';
import { policyObject, removedApplications } from './policies.ts';
import { type Replica, sealStatus } from './replica.ts';
import { VaultError } from './vault-error.ts';
import { differenceOf } from './vault-object.ts';

/** Field `vault` of `status --json`. */
export type VaultStatus = {
  readonly initialized: boolean;
  readonly sealed: boolean;
  /** True if the desired objects exist, and none of removed applications; null if unknown. */
  readonly configured: boolean | null;
};

/**
 * Reads Vault's status; `sealed` if any replica is. Throws `VaultError` if a replica does not answer. The clients
 * have the token and should have a short timeout. Calls `onUnknown` with the reason if `configured` is null.
 */
export async function vaultStatus(
  replicas: readonly Replica[],
  state: DesiredState,
  settings: Tree,
  onUnknown: (reason: string) => void,
): Promise<VaultStatus> {
  const answers = await Promise.all(replicas.map(({ client }) => sealStatus(client)));
  const initialized = answers.some((answer) => answer.initialized);
  const sealed = answers.length === 0 || answers.some((answer) => answer.sealed);
  const open = replicas.filter((_, index) => answers[index]?.sealed === false);
  if (open.length === 0) return { initialized, sealed, configured: false };
  let reason = '';
  for (const { client } of open) {
    const configured = await isConfigured(client, state, settings);
    if (typeof configured === 'boolean') return { initialized, sealed, configured };
    // A replica that was just unsealed may not have found its leader.
    reason ||= configured;
  }
  onUnknown(reason);
  return { initialized, sealed, configured: null };
}

/** True if Vault is as desired; otherwise false, or why that is unknown. */
async function isConfigured(client: VaultClient, state: DesiredState, settings: Tree) {
  try {
    const objects = structuralObjects(client, state, settings);
    for (const object of [policyObject(client, state.operator.policy), ...objects])
      if ((await differenceOf(object)) !== undefined) return false;
    const paths = [
      ...state.mounts.flatMap(({ path, connections }) =>
        connections.map(({ name }) => `${path}/config/${name}`),
      ),
      ...state.auth.map(({ path }) => `auth/${path}/config`),
    ];
    for (const path of paths) if ((await client.read(path)) === undefined) return false;
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
