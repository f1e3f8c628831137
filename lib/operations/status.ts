import { clusterOf, withPostgresql } from '../cluster/cluster.ts';
import type { ClusterPhase } from '../cluster/provider.ts';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { isPostgresqlReady } from '../database/postgresql.ts';
import { launcher, taskCommand } from '../ground/launcher.ts';
import { tellDrift } from '../helm/changed-releases.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { type Address, notesOf } from '../ingress/addresses.ts';
import { kubectlJson, kubectlList } from '../kubernetes/kubectl.ts';
import { exitCodes, MissingToolError, type TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { remembered, settingsOf } from '../settings/environment.ts';
import { findTool } from '../tools/tools.ts';
import { readVaultStatus } from '../vault/access.ts';
import type { VaultStatus } from '../vault/api/status.ts';
import { databaseProblem } from './database-status.ts';

/** `status --json`; the form is fixed. */
export type Status = {
  readonly environment: string;
  readonly provider: ProviderName;
  readonly cluster: {
    readonly state: ClusterPhase;
    readonly kubernetesVersion: string | null;
    readonly nodes: readonly { readonly name: string; readonly ready: boolean }[];
  };
  readonly releases: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly status: string;
    readonly revision: number;
  }[];
  readonly vault: VaultStatus | null;
  readonly database: { readonly reachable: boolean } | null;
};

type NodeList = {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
};

/** Milliseconds that each question may take. */
const answerMs = 20_000;

/** What is asked, and why there was no answer. */
type Asked = { readonly what: string; failure: string | undefined };

/**
 * Everything at a glance. Only reads, and answers also when there is nothing to ask: what cannot be seen is null or empty, and the
 * log says so where it should be there. Throws `TaskError` when it cannot be known whether there is a cluster.
 */
export async function readStatus(unlimited: EnvironmentContext): Promise<Status> {
  const context = { ...unlimited, $: unlimited.$({ timeoutMs: answerMs }) };
  const { environment } = context;
  const state = await readPhase(context);
  const asked: Asked[] = [];
  const ask = async <Answer>(what: string, answer: Promise<Answer>): Promise<Answer | undefined> => {
    const entry: Asked = { what, failure: undefined };
    asked.push(entry);
    try {
      return await answer;
    } catch (error) {
      const { message, what: told, why = told ?? message, exitCode } = error as Error & Partial<TaskError>;
      entry.failure =
        exitCode === exitCodes.timeout
          ? `kubectl gave no answer within ${answerMs / 1000} s`
          : why.split('\n')[0];
      return undefined;
    }
  };
  const answering = state === 'running' || state === 'degraded' || state === 'creating';
  const [version, nodes, releases, vault, reachable] = answering
    ? await Promise.all([
        ask('the version', readVersion(context)),
        ask('the nodes', readNodes(context)),
        ask('the releases', readReleases(context)),
        ask('vault', readVaultStatus(context)),
        ask('postgresql', isDatabaseReady(context)),
      ])
    : [];
  // Nobody misses a Vault or a database that is not installed.
  const missed = asked.filter(
    ({ what }) => what.startsWith('the ') || releases?.some(({ name }) => name === what) === true,
  );
  for (const reason of new Set(missed.flatMap(({ failure }) => failure ?? []))) {
    const about = missed.filter(({ failure }) => failure === reason).map(({ what }) => what);
    context.log(`not known: ${about.join(', ')} (${reason})`);
  }
  return {
    environment: environment.name,
    provider: environment.provider,
    cluster: { state, kubernetesVersion: version ?? null, nodes: nodes ?? [] },
    releases: releases ?? [],
    vault: vault ?? null,
    database: reachable === undefined ? null : { reachable },
  };
}

async function readPhase(context: EnvironmentContext): Promise<ClusterPhase> {
  const { environment } = context;
  for (const tool of providerOf(environment).toolsFor.status) {
    if (await findTool(tool)) continue;
    // On a fresh machine the tools may not be there yet; nothing was made then.
    if ((await remembered(environment.name, environment.root)) === undefined) return 'absent';
    throw new MissingToolError({
      what: `the state of environment \`${environment.name}\` is not known`,
      why: `${tool}, which is asked for it, is not here any more`,
      advice: `run ${taskCommand('install-tools')}`,
    });
  }
  return (await clusterOf(environment)).phase(context);
}

async function readVersion(context: EnvironmentContext): Promise<string | null> {
  type Version = { readonly serverVersion?: { readonly gitVersion: string } };
  const { serverVersion } = await kubectlJson<Version>(context, 'version');
  return serverVersion?.gitVersion ?? null;
}

async function readNodes(context: EnvironmentContext): Promise<Status['cluster']['nodes']> {
  const { items } = await kubectlList<NodeList>(context, 'get', 'nodes');
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    ready: status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
  }));
}

/** Our releases only, in the order of helmfile.yaml. */
async function readReleases(context: EnvironmentContext): Promise<Status['releases']> {
  // What cannot be read of one is told with the drift.
  const deployed = await deployedReleases(context, () => {});
  return (await declaredReleases()).flatMap((release) => {
    const found = deployed.find(
      ({ name, namespace }) => name === release.name && namespace === release.namespace,
    );
    if (!found) return [];
    const { name, namespace, status, revision } = found;
    return [{ name, namespace, status, revision }];
  });
}

const isDatabaseReady = (context: EnvironmentContext): Promise<boolean> =>
  withPostgresql(context, ({ host, port }) => isPostgresqlReady(host, port), 0);

/** The same for a person. */
export async function formatStatus(status: Status, context: EnvironmentContext): Promise<string> {
  const { environment } = context;
  const { cluster, releases, vault, database } = status;
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
    `vault        ${vault === null && isDeployed(status, 'vault') ? notReachable : describeVault(vault)}`,
    `database     ${database === null && isDeployed(status, 'postgresql') ? notReachable : await describeDatabase(context, database)}`,
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
  for (const line of await driftLines(context, status)) lines.push(`drift        ${line}`);
  if (cluster.state === 'running') {
    const addresses = await (await clusterOf(environment))
      .addresses({ ...context, settings: await settingsOf(environment) })
      .catch((error: Error): readonly Address[] => {
        context.log(`not known: the addresses (${error.message.split('\n')[0]})`);
        return [];
      });
    for (const { name, address } of addresses) lines.push(`address      ${name}: ${address}`);
    for (const note of notesOf(addresses)) lines.push(`             ${note}`);
  }
  if (cluster.state === 'absent') lines.push('', `make it with: ${launcher} create-environment`);
  if (cluster.state === 'creating') lines.push('', `finish it with: ${launcher} create-environment`);
  if (cluster.state === 'stopped') lines.push('', `start it with: ${launcher} start-k8s`);
  if (cluster.state === 'degraded') lines.push('', `start what is missing with: ${launcher} start-k8s`);
  if (isHalfStarted(status)) {
    lines.push('', `start what does not answer, and unseal Vault, with: ${launcher} start-k8s`);
  }
  return lines.join('\n');
}

/** What somebody has changed of the deployed releases since helm applied them. */
async function driftLines(
  context: EnvironmentContext,
  { cluster, releases }: Status,
): Promise<readonly string[]> {
  const lines: string[] = [];
  if (cluster.state !== 'running' || releases.length === 0) return lines;
  const tell = (line: string) => lines.push(line);
  try {
    const deployed = await deployedReleases(context, ({ message, advice }) => tell(`${message}; ${advice}`));
    await tellDrift(context, await declaredReleases(), deployed, tell);
  } catch (error) {
    tell(`cannot check for manual changes: ${(error as Error).message}`);
  }
  return lines;
}

const notReachable = 'not reachable';

const isDeployed = ({ cluster, releases }: Status, wanted: string): boolean =>
  cluster.state === 'running' &&
  releases.some(({ name, status }) => name === wanted && status === 'deployed');

/** Whether Vault or PostgreSQL, though deployed, does not serve: a start that did not come to its end leaves that. */
function isHalfStarted(status: Status): boolean {
  const { vault, database } = status;
  if (!providerOf(status).ownsCluster) return false;
  const shut = vault === null || (vault.initialized && vault.sealed);
  return (
    (isDeployed(status, 'vault') && shut) ||
    (isDeployed(status, 'postgresql') && database?.reachable !== true)
  );
}

async function describeDatabase(context: EnvironmentContext, database: Status['database']): Promise<string> {
  if (database === null) return '-';
  if (!database.reachable) return notReachable;
  const problem = await databaseProblem(context);
  return problem === undefined ? 'reachable' : `reachable; ${problem}`;
}

function describeVault(vault: VaultStatus | null): string {
  if (vault === null) return '-';
  if (!vault.initialized) return 'not initialised';
  if (vault.sealed) return 'sealed';
  if (vault.configured === null) return 'unsealed, not known whether it is configured';
  return vault.configured
    ? 'unsealed, configured'
    : `unsealed, not configured: run ${taskCommand('init-vault')}`;
}
