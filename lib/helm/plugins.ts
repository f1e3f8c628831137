import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentContext, InEnvironment, Outcome } from '../settings/context.ts';
import { exportHomes, helmHomes } from '../settings/environment.ts';
import { isReachable } from '../tools/release-host.ts';
import { isHelm3 } from './helm.ts';

/** Optional: without them `diff` uses kubectl, and sops edits secrets directly. */
export const helmPlugins = [
  { name: 'diff', url: 'https://github.com/databus23/helm-diff', version: 'v3.15.11' },
  { name: 'secrets', url: 'https://github.com/jkroepke/helm-secrets', version: 'v4.7.7' },
] as const;

/** Helm 4 verifies plugins by default, but git repositories are not signed. Helm 3 has no such option. */
const unsigned = '--verify=false';

/** The plain commands with the pinned Helm, for `--dry-run`. */
export const pluginCommands = ({ environment }: InEnvironment): readonly string[] => [
  exportHomes(environment, ...helmHomes),
  ...helmPlugins.map(({ url, version }) => `helm plugin install ${url} --version ${version} ${unsigned}`),
];

/** True if the environment's own helm folder has the plugin. */
export async function hasPlugin({ environment }: InEnvironment, name: string): Promise<boolean> {
  const folders = await readdir(join(environment.state, 'helm', 'data', 'plugins')).catch(() => []);
  return folders.some((folder) => folder.includes(name));
}

/**
 * Installs missing plugins into the environment's helm folder without prompting. Logs and skips a plugin that cannot
 * be downloaded or installed.
 */
export async function installPlugins(context: EnvironmentContext): Promise<Outcome> {
  const { $ } = context;
  const present = await Promise.all(helmPlugins.map(({ name }) => hasPlugin(context, name)));
  const missing = helmPlugins.filter((_, index) => !present[index]);
  if (missing.length === 0) return 'unchanged';
  if (!(await isReachable('github.com'))) {
    const names = missing.map(({ name }) => name).join(' and ');
    context.log(`skipping the optional helm plugins ${names}: github.com cannot be reached`);
    return 'unchanged';
  }
  const options = (await isHelm3()) ? [] : [unsigned];
  let outcome: Outcome = 'unchanged';
  for (const { name, url, version } of missing) {
    const words = ['plugin', 'install', url, '--version', version, ...options];
    const result = await $({ nothrow: true, timeoutMs: 120_000 })`helm ${words}`;
    if (result.exitCode === 0) outcome = 'changed';
    else context.log(`skipping the optional helm plugin ${name}: it could not be installed`);
  }
  return outcome;
}
