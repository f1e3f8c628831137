import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration, type PageRow } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import type { ClusterPhase } from '../cluster/provider.ts';
import { providerOf } from '../cluster/providers.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand, taskLine } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { notesOf } from '../ingress/addresses.ts';
import type { Environment, EnvironmentContext, Target } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { describeExpiries } from './certificates.ts';
import { databaseProblem } from './database.ts';
import type { Status } from './status.ts';
import { statusPage } from './status-page.ts';

/** The status as text. Logs what cannot be read. */
export async function formatStatus(status: Status, context: EnvironmentContext): Promise<string> {
  const rows = await fullRows(status, context);
  const lines = rows.map(({ name, text }) => `${name.padEnd(12)} ${text}`);
  const next = nextStep(status);
  if (next !== undefined) lines.push('', next);
  return lines.join('\n');
}

/** The status as a page. Logs what cannot be read. */
export async function formatPage(status: Status, context: EnvironmentContext): Promise<string> {
  const rows = await fullRows(status, context);
  const next = nextStep(status);
  return statusPage(status, next === undefined ? rows : [...rows, { name: 'next', text: next }]);
}

/** Everything that is known. */
async function fullRows(status: Status, context: EnvironmentContext): Promise<readonly PageRow[]> {
  const rows = [...(await statusRows(status, context))];
  for (const text of await driftLines(context, status)) rows.push({ name: 'drift', text, tone: 'bad' });
  if (status.cluster.state !== 'running') return rows;
  const addresses = await readAddresses(context);
  for (const { name, address } of addresses) rows.push({ name: 'address', text: `${name}: ${address}` });
  for (const text of notesOf(addresses)) rows.push({ name: '', text });
  return rows;
}

/** What is quickly known: all but manual changes and addresses. */
export async function statusRows(status: Status, context: EnvironmentContext): Promise<readonly PageRow[]> {
  const { environment } = context;
  const { cluster, releases, certificates } = status;
  const unready = cluster.nodes.filter((node) => !node.ready);
  const ready = cluster.nodes.length - unready.length;
  const nodes = cluster.nodes.length === 0 ? '' : `, ${ready} of ${cluster.nodes.length} nodes ready`;
  const version = cluster.kubernetesVersion === null ? '' : `, Kubernetes ${cluster.kubernetesVersion}`;
  const known =
    cluster.state === 'degraded'
      ? await (await clusterOf(environment)).faults?.(context).catch(() => undefined)
      : undefined;
  const faults = known === undefined ? '' : ` (${known.join(', ')})`;
  const vault = await describeVault(context, status);
  const database = await describeDatabase(context, status);
  const width = Math.max(0, ...releases.map(({ name }) => name.length));
  const row = (name: string, text: string, isGood = true): PageRow =>
    isGood ? { name, text } : { name, text, tone: 'bad' };
  return [
    row('environment', `${status.environment} (${status.provider})`),
    row('cluster', `${cluster.state}${faults}${version}${nodes}`, cluster.state !== 'degraded'),
    row('vault', vault, ['-', 'unsealed, configured'].includes(vault)),
    row('database', database, ['-', 'reachable'].includes(database)),
    ...(providerOf(status).simulatedPods && cluster.state !== 'absent'
      ? [
          row(
            'simulated',
            'nodes, pods, Services and Ingress; the API, Vault, its operator and PostgreSQL are real',
          ),
        ]
      : []),
    ...unready.map(({ name }) => row('node', `${name}: not ready`, false)),
    ...releases.map(({ name, namespace, status: state, revision }) =>
      row(
        'release',
        `${name.padEnd(width)}  ${namespace.padEnd(8)}  ${state}, revision ${revision}`,
        state === 'deployed',
      ),
    ),
    ...(status.notInstalled.length > 0
      ? [row('release', `not installed: ${status.notInstalled.join(', ')}`)]
      : []),
    ...status.unreadyPods.map(({ object, text }) =>
      row('pod', `${object.replace('pod ', '')}: ${text}`, false),
    ),
    ...describeExpiries(certificates).map((text, index) =>
      row('certificate', text, certificates[index]?.renewal === null),
    ),
    ...(await lastFailures(environment)).map((text) => row('failure', text)),
  ];
}

/** Milliseconds after which a failure is no news any more. */
const newsMs = 24 * 3_600_000;

/** The newest failed installs with their details, which `Diagnosis.save` has kept. */
async function lastFailures({ name, state }: Environment, now = Date.now()): Promise<readonly string[]> {
  const files = (await ifThere(readdir(join(state, 'diagnostics')))) ?? [];
  return files
    .sort()
    .reverse()
    .slice(0, 3)
    .flatMap((file) => {
      const [, day, hours, minutes, seconds, of] =
        /^(.+)T(\d\d)-(\d\d)-(\d\d)-.*?Z-(.+)\.txt$/.exec(file) ?? [];
      const age = now - Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
      return age < newsMs ? [`${of}, ${formatDuration(age)} ago: .state/${name}/diagnostics/${file}`] : [];
    });
}

/** Addresses to open; none, with a line in the log, if they are not known. */
export async function readAddresses(context: EnvironmentContext & Partial<Target>) {
  const { environment } = context;
  try {
    const settings = context.settings ?? (await loadSettings(environment));
    return await (await clusterOf(environment)).addresses({ ...context, settings });
  } catch (error) {
    context.log(`not known: the addresses (${(error as Error).message.split('\n')[0]})`);
    return [];
  }
}

/** The next step from a phase, and its task. */
const nextSteps: { readonly [phase in ClusterPhase]?: readonly [step: string, task: string] } = {
  absent: ['create it', 'create-environment'],
  creating: ['finish it', 'create-environment'],
  stopped: ['start it', 'start-k8s'],
  degraded: ['start what is missing', 'start-k8s'],
};

/** What to do about the state, if anything. */
function nextStep(status: Status): string | undefined {
  const half = ['start what does not answer, and unseal Vault,', 'start-k8s'] as const;
  const [what, task] = nextSteps[status.cluster.state] ?? (isHalfStarted(status) ? half : []);
  return task === undefined ? undefined : `${what} with: ${taskLine(task)}`;
}

/** Manual changes in the deployed releases. */
async function driftLines(context: EnvironmentContext, { cluster, releases }: Status): Promise<string[]> {
  const lines: string[] = [];
  if (cluster.state !== 'running' || releases.length === 0) return lines;
  const tell = (line: string) => lines.push(line);
  try {
    const deployed = await deployedReleases(context, ({ message, advice }) => tell(`${message}; ${advice}`));
    await tellDrift(context, await declaredReleases(context.environment.root), deployed, tell);
  } catch (error) {
    tell(`cannot check for manual changes: ${(error as Error).message}`);
  }
  return lines;
}

const notReachable = 'not reachable';

const isDeployed = ({ cluster, releases }: Status, wanted: string): boolean =>
  cluster.state === 'running' &&
  releases.some(({ name, status }) => name === wanted && status === 'deployed');

/** True if a deployed Vault or PostgreSQL does not serve, as after an interrupted start. */
function isHalfStarted(status: Status): boolean {
  const { vault, database } = status;
  if (!providerOf(status).ownsCluster) return false;
  const shut = vault === null || (vault.initialized && vault.sealed);
  const silent = database?.reachable !== true;
  return (isDeployed(status, 'vault') && shut) || (isDeployed(status, 'postgresql') && silent);
}

async function describeDatabase(context: EnvironmentContext, status: Status): Promise<string> {
  const { database } = status;
  if (database === null) return isDeployed(status, 'postgresql') ? notReachable : '-';
  if (!database.reachable) return notReachable;
  const problem = await databaseProblem(context);
  return problem === undefined ? 'reachable' : `reachable; ${problem}`;
}

async function describeVault({ environment }: EnvironmentContext, status: Status): Promise<string> {
  const { vault } = status;
  if (vault === null) {
    if (!isDeployed(status, 'vault')) return '-';
    return loadSettings(environment).then(
      () => notReachable,
      () => 'not known, since the settings cannot be read',
    );
  }
  if (!vault.initialized) return `not initialised: run ${taskCommand('create-environment')}`;
  if (vault.sealed) return 'sealed';
  if (vault.configured === null) return 'unsealed; whether it is configured is not known';
  return vault.configured
    ? 'unsealed, configured'
    : `unsealed, not configured: run ${taskCommand('init-vault')}`;
}
