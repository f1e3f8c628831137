import type { Shell } from '@k8s-deployment/runner';
import type { ShellContext } from '../settings/context.ts';
import { processEnvironment } from '../settings/environment.ts';

/**
 * The shell for gpg, sops and git when their output is parsed: a failure is a value, and messages are in
 * English. `variables` are added to those of the environment.
 */
export async function sopsShell(
  { $, environment }: ShellContext,
  variables: NodeJS.ProcessEnv = {},
): Promise<Shell> {
  const env = { ...(await processEnvironment(environment)), ...variables, LC_ALL: 'C' };
  return $({ env, cwd: environment.root, quiet: true, nothrow: true });
}
