import { root } from '../ground/project.ts';
import type { Shell } from '../runner/runner.ts';
import type { ShellContext } from '../settings/context.ts';
import { processEnvironment } from '../settings/environment.ts';

/**
 * The shell for gpg, sops and git whose words are read: their failures are values, and they speak English. `variables` are
 * given to them besides the environment's.
 */
export async function sopsShell(context: ShellContext, variables: NodeJS.ProcessEnv = {}): Promise<Shell> {
  const env = { ...(await processEnvironment(context.environment)), ...variables, LC_ALL: 'C' };
  return context.$({ env, cwd: root, quiet: true, nothrow: true });
}
