import { environmentOf, processEnvironment } from '../environment.ts';
import { root } from '../project.ts';
import type { Shell, TaskContext } from '../runner/runner.ts';

/**
 * The shell for gpg, sops and git whose words are read: their failures are values, and they speak English. `variables` are
 * given to them besides the environment's.
 */
export async function sopsShell(
  context: Pick<TaskContext, '$' | 'options'>,
  variables: NodeJS.ProcessEnv = {},
): Promise<Shell> {
  const env = { ...(await processEnvironment(environmentOf(context.options))), ...variables, LC_ALL: 'C' };
  return context.$({ env, cwd: root, quiet: true, nothrow: true });
}
