import { clusterOf } from '../cluster/cluster.ts';
import type { ClusterPhase } from '../cluster/provider.ts';
import { providerOf } from '../cluster/providers.ts';
import { taskCommand, taskLine } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { type Address, notesOf } from '../ingress/addresses.ts';
import type { Context, EnvironmentContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { describeExpiries } from './certificates.ts';
import { databaseProblem } from './database.ts';
import type { Status } from './status.ts';

/** The status as text. Logs what cannot be read. */
export async function formatStatus(status: Status, context: EnvironmentContext): Promise<string> {
  const { environment } = context;
  const { cluster, releases } = status;
  const ready = cluster.nodes.filter((node) => node.ready).length;
  const nodes = cluster.nodes.length === 0 ? '' : `, ${ready} of ${cluster.nodes.length} nodes ready`;
  const version = cluster.kubernetesVersion === null ? '' : `, Kubernetes ${cluster.kubernetesVersion}`;
  const known =
    cluster.state === 'degraded'
      ? await (await clusterOf(environment)).faults?.(context).catch(() => undefined)
      : undefined;
  const faults = known === undefined ? '' : ` (${known.join(', ')})`;
  const lines = [
    `environment  ${status.environment} (${status.provider})`,
    `cluster      ${cluster.state}${faults}${version}${nodes}`,
    `vault        ${describeVault(status)}`,
    `database     ${await describeDatabase(context, status)}`,
  ];
  if (providerOf(status).simulatedPods && cluster.state !== 'absent') {
    lines.push(
      'simulated    nodes, pods, Services and Ingress; the API, Vault, its operator and PostgreSQL are real',
    );
  }
  const width = Math.max(0, ...releases.map(({ name }) => name.length));
  for (const { name, namespace, status: state, revision } of releases) {
    lines.push(`release      ${name.padEnd(width)}  ${namespace.padEnd(8)}  ${state}, revision ${revision}`);
  }
  for (const line of describeExpiries(status.certificates)) lines.push(`certificate  ${line}`);
  for (const line of await driftLines(context, status)) lines.push(`drift        ${line}`);
  if (cluster.state === 'running') {
    const addresses = await readAddresses({ ...context, settings: await loadSettings(environment) });
    for (const { name, address } of addresses) lines.push(`address      ${name}: ${address}`);
    for (const note of notesOf(addresses)) lines.push(`             ${note}`);
  }
  const next =
    nextSteps[cluster.state] ??
    (isHalfStarted(status)
      ? (['start what does not answer, and unseal Vault,', 'start-k8s'] as const)
      : undefined);
  if (next !== undefined) lines.push('', `${next[0]} with: ${taskLine(next[1])}`);
  return lines.join('\n');
}

/** Addresses to open; none, with a line in the log, if they are not known. */
export async function readAddresses(context: Context): Promise<readonly Address[]> {
  try {
    return await (await clusterOf(context.environment)).addresses(context);
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

/** Manual changes in the deployed releases. */
async function driftLines(
  context: EnvironmentContext,
  { cluster, releases }: Status,
): Promise<readonly string[]> {
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
  return (
    (isDeployed(status, 'vault') && shut) ||
    (isDeployed(status, 'postgresql') && database?.reachable !== true)
  );
}

async function describeDatabase(context: EnvironmentContext, status: Status): Promise<string> {
  const { database } = status;
  if (database === null) return isDeployed(status, 'postgresql') ? notReachable : '-';
  if (!database.reachable) return notReachable;
  const problem = await databaseProblem(context);
  return problem === undefined ? 'reachable' : `reachable; ${problem}`;
}

function describeVault(status: Status): string {
  const { vault } = status;
  if (vault === null) return isDeployed(status, 'vault') ? notReachable : '-';
  if (!vault.initialized) return 'not initialised';
  if (vault.sealed) return 'sealed';
  if (vault.configured === null) return 'unsealed; whether it is configured is not known';
  return vault.configured
    ? 'unsealed, configured'
    : `unsealed, not configured: run ${taskCommand('init-vault')}`;
}
