import { taskCommand } from '../ground/launcher.ts';
import type { Release } from '../helm/helmfile.ts';
import { TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { readVaultStatus } from './access.ts';

/**
 * Throws `TaskError` when a release among `changed` gets its secrets from a Vault that is sealed, new or away: it would wait for
 * them in vain until its time limit. A Vault that is installed in the same run cannot be asked before.
 */
export async function checkVault(context: EnvironmentContext, changed: readonly Release[]): Promise<void> {
  const { environment } = context;
  const waiting = changed.filter(({ needs }) => needs.includes('vault-operator')).map(({ name }) => name);
  if (waiting.length === 0 || changed.some(({ name }) => name === 'vault')) return;
  const status = await readVaultStatus(context).catch((error: unknown) => {
    if (error instanceof TaskError) return error;
    throw error;
  });
  if (status instanceof TaskError) {
    throw new TaskError({
      what: `Vault of environment \`${environment.name}\` does not answer`,
      why: `${status.what}; ${waiting.join(', ')} would wait for secrets from it; nothing was changed`,
      advice: `run ${taskCommand('start-k8s')}, then install again`,
    });
  }
  // Where one of several replicas is sealed, the others still serve.
  if (status.initialized && (!status.sealed || status.configured !== false)) return;
  const state = status.initialized ? 'is sealed' : 'is not initialised';
  throw new TaskError({
    what: `Vault of environment \`${environment.name}\` ${state}`,
    why: `${waiting.join(', ')} would wait for secrets from it; nothing was changed`,
    advice: `run ${taskCommand('init-vault')}, then install again`,
  });
}
