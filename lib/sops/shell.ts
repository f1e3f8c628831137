import { environmentOf, processEnvironment } from '../environment.ts';
import { root } from '../project.ts';
import type { Shell, TaskContext } from '../runner/runner.ts';

/** The shell for gpg and sops whose words are read: their failures are values, and gpg speaks English. */
export async function sopsShell(context: Pick<TaskContext, '$' | 'options'>): Promise<Shell> {
  const env = { ...(await processEnvironment(environmentOf(context.options))), LC_ALL: 'C' };
  return context.$({ env, cwd: root, quiet: true, nothrow: true });
}
