import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import type { Release } from '../helm/helmfile.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { readKeys } from './api/keys-file.ts';
import { type VaultStatus, vaultStatus } from './api/vault-status.ts';
import { desiredState, vaultSettings } from './desired.ts';
import { keysFileName, keysPlace } from './keys-place.ts';
import { hasVault, withVaultReplicas } from './replicas.ts';

type HealthContext = ShellContext & Pick<EnvironmentContext, 'log' | 'secret'>;

/** Vault's part of `status`. Throws `TaskError` if Vault cannot be reached. */
export async function readVaultStatus(context: HealthContext): Promise<VaultStatus> {
  const { environment } = context;
  let noKeys = `its keys are not in ${keysFileName(environment)}`;
  const keys = await readKeys(keysPlace(context)).catch((error: Error) => {
    noKeys = error.message;
    return undefined;
  });
  const token = keys?.admin_token;
  // Keys without the token of `init-vault` mean that it was interrupted.
  const isSetUp = keys === undefined || token !== undefined;
  const state = await desiredState(environment);
  const settings = vaultSettings(await loadSettings(environment));
  const client = { timeoutMs: 3000, ...(token && { token }) };
  return withVaultReplicas(context, 0, client, async (replicas) => {
    const status = await vaultStatus(replicas, state, settings, (reason) => {
      if (isSetUp)
        context.log(`unknown: whether Vault is configured (${keys === undefined ? noKeys : reason})`);
    });
    return isSetUp ? status : { ...status, configured: false };
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
