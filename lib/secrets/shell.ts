import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { processEnvironment } from '../settings/environment.ts';

export type SecretContext = ShellContext & Pick<EnvironmentContext, 'secret'>;

/**
 * The shell for gpg, sops, git and tar if their output is parsed: failures are values, messages are English.
 * `variables` extend the environment's.
 */
export async function sopsShell({ $, environment }: ShellContext, variables: NodeJS.ProcessEnv = {}) {
  const env = { ...(await processEnvironment(environment)), ...variables, LC_ALL: 'C' };
  return $({ env, cwd: environment.root, quiet: true, nothrow: true });
}
