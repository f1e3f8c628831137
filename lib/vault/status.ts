import { TaskError } from '../runner/runner.ts';
import { objectOf, type VaultClient } from './client.ts';
import { structuralObjects } from './converge.ts';
import { sealStatus } from './init.ts';
import { readSecret } from './key-values.ts';
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
 * How Vault is; null when it cannot be reached. Only reads, and throws no `TaskError`: what cannot be seen (no token,
 * no right to read) counts as not configured. `client` carries the token, and should have a short time limit.
 */
export async function vaultStatus(client: VaultClient, state: DesiredState): Promise<VaultStatus | null> {
  try {
    const answer = await sealStatus(client);
    const initialized = answer.initialized === true;
    const sealed = answer.sealed !== false;
    return { initialized, sealed, configured: initialized && !sealed && (await isConfigured(client, state)) };
  } catch (error) {
    if (error instanceof VaultError) return null;
    throw error;
  }
}

async function isConfigured(client: VaultClient, state: DesiredState): Promise<boolean> {
  try {
    for (const object of structuralObjects(client, state)) {
      if ((await object.difference()) !== undefined) return false;
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
    // Sealed meanwhile, no right to read, an engine of another type: all mean that it is not as desired.
    if (error instanceof TaskError) return false;
    throw error;
  }
}
