import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { throwAdvised } from '../kubernetes/advice.ts';
import type {
  Environment,
  EnvironmentContext,
  InEnvironment,
  Outcome,
  ShellContext,
} from '../settings/context.ts';
import { exportHomes, helmHomes } from '../settings/environment.ts';
import { isReachable } from '../tools/release-host.ts';
import { parseAnswer, toolFailure } from '../tools/tool-answer.ts';
import { findTool } from '../tools/tools.ts';
import type { Release as Declared } from './helmfile.ts';
import { keepReplicas, typesOf } from './live-objects.ts';
import type { Deployed, DeployedRelease } from './releases.ts';

type Release = Pick<Declared, 'id' | 'name' | 'namespace' | 'timeout' | 'trackMode'>;

/** helm's words in a namespace, with the environment's kubeconfig and context. */
export const helmCommand = ({ kubeconfig, context }: Environment, namespace: string): readonly string[] => [
  ...['helm', '--kubeconfig', kubeconfig, '--kube-context', context],
  ...['--namespace', namespace],
];

/**
 * Helm 4's options to take back fields that others have set, which are conflicts in server-side apply, its
 * default. They switch a release of Helm 3 to server-side apply.
 */
export const takeBack = ['--force-conflicts', '--server-side=true'] as const;

/** The same for the installed helm: none for Helm 3, which compares on the client and has no such options. */
export const takeBackOptions = async (): Promise<readonly string[]> => ((await isHelm3()) ? [] : takeBack);

const isHelm3 = async (): Promise<boolean> => (await findTool('helm'))?.version.startsWith('3.') ?? false;

type Revision = { readonly revision: number; readonly status: string; readonly description?: string };

/** How helm describes a revision that was never in service; a later rollback that fails too makes it `superseded`. */
const neverInService =
  /^(?:(?:Upgrade|Rollback|Release) ".*" failed: |(?:Preparing upgrade|Initial install underway)$)/;

/**
 * The newest revision before the last one that was in service, or undefined; helm's "previous revision" may have
 * failed. Throws `TaskError` if helm does not list revisions.
 */
export async function lastGoodRevision({ $, environment }: ShellContext, release: Release) {
  const helm = helmCommand(environment, release.namespace);
  const output = await $({ quiet: true })`${helm} history ${release.name} -o json`;
  const revisions = parseAnswer<readonly Revision[]>(`helm history ${release.name}`, output);
  if (revisions.length === 0)
    throw new TaskError({
      what: `helm lists no revision of ${release.name}`,
      why: 'the cluster has at least one',
      advice: 'run again',
    });
  return revisions
    .slice(0, -1)
    .findLast(
      ({ status, description = '' }) =>
        ['superseded', 'deployed'].includes(status) && !neverInService.test(description),
    )?.revision;
}

/**
 * helm's arguments to roll a release back, by default to the previous revision; `options` are `takeBack` with Helm 4.
 */
export const rollbackWords = (
  { name, timeout, trackMode }: Pick<Release, 'name' | 'timeout' | 'trackMode'>,
  revision: number | undefined,
  options: readonly string[],
): readonly string[] => [
  ...['rollback', name, ...(revision === undefined ? [] : [String(revision)])],
  // As helmfile does; Helm 3 knows no other way to wait.
  trackMode === 'helm-legacy' && options.length > 0 ? '--wait=legacy' : '--wait',
  ...['--timeout', `${timeout}s`, ...options],
];

/** Types of objects that set a number of pods, which helm then does not. */
const autoscalers = /^(?:HorizontalPodAutoscaler|ScaledObject)\./;

export type StoredRevision = { readonly revision: number; readonly manifest: string };

/** Rolls a release back and waits until it is in service. `before`: the revision that it leaves. */
export async function rollBack(
  context: ShellContext,
  release: Release,
  { revision, manifest }: StoredRevision,
  before: DeployedRelease | undefined,
): Promise<void> {
  // Otherwise the number stays helm's alone: a later `helm upgrade` by hand would conflict with us.
  if (typesOf(manifest).some((type) => autoscalers.test(type))) await keepReplicas(context, before);
  const { $, environment } = context;
  const words = rollbackWords(release, revision, await takeBackOptions());
  await $`${helmCommand(environment, release.namespace)} ${words}`.catch(throwAdvised);
}

/** A revision, whose manifest is empty if there is none. Throws `TaskError` if helm fails. */
export async function readRevision(
  { $, environment }: ShellContext,
  { name, namespace }: Pick<Release, 'name' | 'namespace'>,
  revision: number,
): Promise<StoredRevision> {
  const ask = $({ quiet: true, nothrow: true });
  const output =
    await ask`${helmCommand(environment, namespace)} get manifest ${name} --revision ${revision}`;
  if (output.exitCode === 0) return { revision, manifest: output.stdout };
  if (output.stderr.includes('release: not found')) return { revision, manifest: '' };
  throw toolFailure(`helm get manifest ${name}`, output);
}

/** helm waits up to its time limit twice: for objects, then for hooks. */
const waits = 2;

/**
 * Repairs releases that a killed run left in `pending-*` or `uninstalling`, in which helm refuses changes: rolls back
 * to the last good revision, or uninstalls. Call `refuseBusy` and all checks before.
 */
export async function repairReleases(
  context: EnvironmentContext,
  releases: readonly Release[],
  deployed: Deployed,
): Promise<void> {
  const { $, environment } = context;
  for (const release of releases) {
    const before = deployed.get(release.id);
    const status = before?.status ?? '';
    if (!isUnfinished(status)) continue;
    context.log(`repairing ${release.name}: a killed run left it ${status}`);
    const good = status === 'uninstalling' ? undefined : await lastGoodRevision(context, release);
    if (good !== undefined) {
      await rollBack(context, release, await readRevision(context, release, good), before);
      continue;
    }
    const helm = helmCommand(environment, release.namespace);
    await $`${helm} uninstall ${release.name} --wait --timeout ${`${release.timeout}s`}`;
  }
}

/** True if helm is, or was, at work on the release. */
export const isUnfinished = (status: string): boolean =>
  status.startsWith('pending-') || status === 'uninstalling';

/**
 * Throws `TaskError` if somebody may be working on an unfinished release: on a local cluster a running helm, elsewhere
 * anybody until helm's time limits are over.
 */
export async function refuseBusy(
  { environment }: InEnvironment,
  releases: readonly Release[],
  deployed: Deployed,
): Promise<void> {
  for (const release of releases) {
    const { status, updated } = deployed.get(release.id) ?? {};
    if (status === undefined || updated === undefined || !isUnfinished(status)) continue;
    const what = `release ${release.name} is ${status}`;
    if (providerOf(environment).ownsCluster) {
      const pid = await runningHelm(environment, release);
      if (pid === undefined) continue;
      throw new TaskError({
        what: `${what}: helm is still working on it`,
        why: `process ${pid} of this machine`,
        advice: 'wait until it ends, then run again',
      });
    }
    // Whoever uninstalls it wants it gone: a second helm does no harm.
    if (status === 'uninstalling') continue;
    const limitSeconds = waits * release.timeout;
    const ageSeconds = (Date.now() - updated.getTime()) / 1000;
    // False for an unknown time (NaN).
    if (ageSeconds >= limitSeconds) continue;
    const age = Number.isNaN(ageSeconds) ? 'an unknown time' : `${Math.round(ageSeconds)} s`;
    throw new TaskError({
      what: `${what} since ${age}`,
      why: 'somebody else may be working on it: its time limit has not passed',
      advice: `wait until ${limitSeconds} s have passed, then run again to repair it`,
    });
  }
}

/** Pid of a local helm that changes the release, unless its arguments name another cluster. */
async function runningHelm({ context }: Environment, release: Release): Promise<number | undefined> {
  const { commandLines } = await import('../ground/command-lines.ts');
  const found = (await commandLines()).find(
    ({ program, words }) =>
      /^helm\d?$/.test(program) &&
      words.some((word) => /^(install|upgrade|rollback|uninstall|delete)$/.test(word)) &&
      words.includes(release.name) &&
      (!words.includes('--kube-context') || words.includes(context)),
  );
  return found?.pid;
}

/** Optional: without them `diff` uses kubectl, and sops edits secrets directly. */
const helmPlugins = [
  { name: 'diff', url: 'https://github.com/databus23/helm-diff', version: 'v3.15.11' },
  { name: 'secrets', url: 'https://github.com/jkroepke/helm-secrets', version: 'v4.7.7' },
] as const;

/** Helm 4 verifies plugins by default, but git repositories are not signed. Helm 3 has no such option. */
const unsigned = '--verify=false';

/** The plain commands with the pinned Helm, for `--dry-run`. */
export const pluginCommands = ({ environment }: InEnvironment): readonly string[] => [
  exportHomes(environment, ...helmHomes),
  ...helmPlugins.map(
    ({ name, url, version }) =>
      `helm plugin list | grep -q ^${name} || helm plugin install ${url} --version ${version} ${unsigned}`,
  ),
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
