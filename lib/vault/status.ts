import { TaskError } from '../runner/runner.ts';
import { objectOf, type VaultClient } from './client.ts';
import { structuralObjects } from './converge.ts';
import { readSecret, type ValueSources } from './key-values.ts';
import { type Replica, sealStatus } from './replica.ts';
import type { DesiredState } from './state.ts';
import { VaultError } from './vault-error.ts';

/** `vault` in `status --json`. */
export type VaultStatus = {
  readonly initialized: boolean;
  readonly sealed: boolean;
  /** The desired engines, auth methods, roles, policies and secrets are there. Needs a token that may read them. */
  readonly configured: boolean;
};

/**
 * How Vault is. Sealed as long as one of several replicas is. Only reads; what may not be seen (no token, no right to read) counts
 * as not configured. Throws `VaultError` when it cannot be reached. The clients carry the token, and should have a short time limit.
 */
export async function vaultStatus(
  replicas: readonly Replica[],
  state: DesiredState,
  settings: ValueSources['settings'],
): Promise<VaultStatus> {
  const answers = await Promise.all(replicas.map(({ client }) => sealStatus(client)));
  const initialized = answers.some((answer) => answer.initialized === true);
  const sealed = answers.length === 0 || answers.some((answer) => answer.sealed !== false);
  const open = replicas.find((_, index) => answers[index]?.sealed === false);
  const configured = open !== undefined && (await isConfigured(open.client, state, settings));
  return { initialized, sealed, configured };
}

async function isConfigured(
  client: VaultClient,
  state: DesiredState,
  settings: ValueSources['settings'],
): Promise<boolean> {
  try {
    for (const object of structuralObjects(client, state, settings)) {
      if ((await object.difference()) !== undefined) return false;
    }
    for (const mount of state.mounts) {
      for (const { name } of mount.connections) {
        if ((await client.read(`${mount.path}/config/${name}`)) === undefined) return false;
      }
    }
    for (const mount of state.auth) {
      if (objectOf(await client.read(`auth/${mount.path}/config`)) === undefined) return false;
    }
    for (const secret of state.keyValues) {
      const { data } = await readSecret(client, secret);
      if (!secret.values.every(({ name }) => typeof data?.[name] === 'string' && data[name] !== ''))
        return false;
    }
    return true;
  } catch (error) {
    // One that answers no more has not said how it is.
    if (error instanceof VaultError && error.status === undefined) throw error;
    // Sealed meanwhile, no right to read, an engine of another type: all mean that it is not as desired.
    if (error instanceof TaskError) return false;
    throw error;
  }
}
