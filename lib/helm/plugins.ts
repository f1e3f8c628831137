import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentContext } from '../settings/context.ts';
import { type Environment, exportHomes, helmHomes } from '../settings/environment.ts';
import { isReachable } from '../tools/release-host.ts';
import { findTool } from '../tools/tools.ts';

/** Optional: without them `diff` uses kubectl, and secrets are edited by sops itself. */
export const helmPlugins = [
  { name: 'diff', url: 'https://github.com/databus23/helm-diff', version: 'v3.15.11' },
  { name: 'secrets', url: 'https://github.com/jkroepke/helm-secrets', version: 'v4.7.7' },
] as const;

/** Helm 4 verifies plugins by default, and these are not signed as git repositories. Helm 3 knows no such option. */
const unsigned = '--verify=false';

/** The plain commands of the pinned Helm, for `--dry-run`. */
export const pluginCommands = (environment: Environment): readonly string[] => [
  exportHomes(environment, ...helmHomes),
  ...helmPlugins.map(({ url, version }) => `helm plugin install ${url} --version ${version} ${unsigned}`),
];

/**
 * Installs the missing plugins into the environment's own helm folder, where their host can be reached. Never prompts, and a
 * plugin that cannot be had is said and left out. Returns whether one was installed.
 */
export async function installPlugins(context: EnvironmentContext): Promise<'changed' | 'unchanged'> {
  const { $, environment } = context;
  const known = await readdir(join(environment.state, 'helm', 'data', 'plugins')).catch(() => []);
  const missing = helmPlugins.filter(({ name }) => !known.some((folder) => folder.includes(name)));
  if (missing.length === 0) return 'unchanged';
  if (!(await isReachable('github.com'))) {
    context.log(
      `without the optional helm plugins ${missing.map(({ name }) => name).join(' and ')}: their host cannot be reached`,
    );
    return 'unchanged';
  }
  const helm = await findTool('helm');
  const options = helm?.version.startsWith('3.') ? [] : [unsigned];
  let outcome: 'changed' | 'unchanged' = 'unchanged';
  for (const { name, url, version } of missing) {
    const result = await $({
      nothrow: true,
      timeoutMs: 120_000,
    })`helm plugin install ${url} --version ${version} ${options}`;
    if (result.exitCode === 0) outcome = 'changed';
    else context.log(`without the optional helm plugin ${name}: it could not be installed`);
  }
  return outcome;
}
