import { existsSync } from 'node:fs';
import { exitCodes, MissingToolError, TaskError } from '@k8s-deployment/runner';
import { clusterOf, withPostgresql } from '../cluster/cluster.ts';
import type { ClusterPhase, ClusterState } from '../cluster/provider.ts';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { isPostgresqlReady } from '../database/login.ts';
import { taskCommand } from '../ground/launcher.ts';
import { declaredReleases, isLeftOut } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { type Finding, readPods, unreadyOf } from '../kubernetes/diagnostics.ts';
import { holds, kubectlList, serverVersion, type WithConditions } from '../kubernetes/kubectl.ts';
import { authorityFile, hasShared, isShared } from '../secrets/shared-file.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { remembered } from '../settings/environment.ts';
import { loadSettings } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import { readVaultStatus, type VaultStatus } from '../vault/health.ts';
import { type CertificateExpiry, readExpiries } from './certificates.ts';
import { namespacesOf } from './reopen.ts';

/** The output of `status --json`, a fixed format, and what is not in it: a degraded cluster's faults and advice. */
export type Status = {
  readonly faults: readonly string[];
  readonly advice?: string | undefined;
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
  /** Declared releases that the cluster does not have. */
  readonly notInstalled: readonly string[];
  readonly vault: VaultStatus | null;
  readonly database: { readonly reachable: boolean } | null;
  readonly certificates: readonly CertificateExpiry[];
  /** Pods that should be ready and are not, with the reason. */
  readonly unreadyPods: readonly Finding[];
};

/**
 * Reads the environment's status, with a limit in milliseconds for each query. What cannot be read is null or empty,
 * and logged if it should exist. Throws `TaskError` if it is unknown whether a cluster exists.
 */
export async function readStatus(unlimited: EnvironmentContext, longestMs = 20_000): Promise<Status> {
  const { environment } = unlimited;
  const within = (timeoutMs: number) => ({ ...unlimited, $: unlimited.$({ timeoutMs }) });
  const { phase: state, faults = [], advice } = await readPhase(within(longestMs));
  // An API server without its etcd accepts calls and answers none.
  const answerMs = state === 'degraded' ? 5000 : longestMs;
  const context = within(answerMs);
  if (state === 'running') await openShared(context);
  /** Reasons of failed queries, in the order of the queries. */
  const failures = new Map<string, string | undefined>();
  const ask = async <Answer>(what: string, answer: Promise<Answer>): Promise<Answer | undefined> => {
    failures.set(what, undefined);
    try {
      return await answer;
    } catch (error) {
      const { message, what: told = '', why, exitCode } = error as Error & Partial<TaskError>;
      // Of a failed command, what it said is enough.
      const reason = (told.startsWith('`') ? why : undefined) ?? message;
      const silent = `kubectl gave no answer within ${answerMs / 1000} s`;
      failures.set(what, exitCode === exitCodes.timeout ? silent : reason.split('\n')[0]);
      return undefined;
    }
  };
  // The kubeconfig of a cluster that is being created comes with its API server.
  const half = state === 'creating' && existsSync(unlimited.environment.kubeconfig);
  const answering = state === 'running' || state === 'degraded' || half;
  const [version, nodes, releases, vault, reachable, certificates, unready] = answering
    ? await Promise.all([
        ask('the version', serverVersion(context)),
        ask('the nodes', readNodes(context)),
        ask('the releases', readReleases(context)),
        ask('vault', readVaultStatus(context)),
        ask('postgresql', isDatabaseReady(context, answerMs)),
        ask('the certificates', readExpiries(context)),
        ask('the pods', readUnready(context)),
      ])
    : [];
  // A Vault or database that is not installed is not reported as missing.
  const missed = [...failures].filter(
    ([what]) => what.startsWith('the ') || releases?.found.some(({ name }) => name === what) === true,
  );
  for (const reason of new Set(missed.flatMap(([, failure]) => failure ?? []))) {
    const about = missed.filter(([, failure]) => failure === reason).map(([what]) => what);
    context.log(`not known: ${about.join(', ')} (${reason})`);
  }
  return {
    ...{ faults, advice },
    environment: environment.name,
    provider: environment.provider,
    cluster: { state, kubernetesVersion: version?.gitVersion ?? null, nodes: nodes ?? [] },
    releases: releases?.found ?? [],
    notInstalled: releases?.missing ?? [],
    vault: vault ?? null,
    database: reachable === undefined ? null : { reachable },
    certificates: certificates ?? [],
    unreadyPods: unready ?? [],
  };
}

/** Environments whose encrypted files this process has opened. */
const opened = new Set<string>();

/** Lets a fresh clone of a shared environment read its encrypted files; without the key, less is known. */
async function openShared(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  if (opened.has(environment.state) || !isShared(environment) || !(await findTool('sops'))) return;
  const settings = await loadSettings(environment).catch(() => undefined);
  if (settings === undefined) return;
  try {
    const { importKeys } = await import('../secrets/keyring.ts');
    const { shareAuthority } = await import('../certificates/shared-authority.ts');
    const target = { ...context, settings };
    await importKeys(target);
    if (hasShared(environment, authorityFile)) await shareAuthority(target, { offline: true });
    opened.add(environment.state);
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    context.log(`not known: what the encrypted files tell (${error.what})`);
  }
}

async function readPhase(context: EnvironmentContext): Promise<ClusterState> {
  const { environment } = context;
  for (const tool of providerOf(environment).toolsFor.status) {
    if (await findTool(tool)) continue;
    // Without the tools, nothing can have been created.
    if ((await remembered(environment)) === undefined) return { phase: 'absent' };
    throw new MissingToolError({
      what: `the state of environment \`${environment.name}\` is not known`,
      why: `${tool}, which reports it, is not installed any more`,
      advice: `run ${taskCommand('install-tools')}`,
    });
  }
  return (await clusterOf(environment)).state(context);
}

async function readNodes(context: EnvironmentContext): Promise<Status['cluster']['nodes']> {
  const nodes = await kubectlList<WithConditions>(context, 'get', 'nodes');
  return nodes.map(({ metadata, status }) => ({
    name: metadata.name,
    ready: holds(status?.conditions, 'Ready'),
  }));
}

/** The declared releases, in the order of helmfile.yaml. */
async function readReleases(context: EnvironmentContext) {
  // The drift reports unreadable releases.
  const deployed = await deployedReleases(context, () => {});
  const declared = await declaredReleases(context.environment.root);
  const settings = await loadSettings(context.environment).catch(() => undefined);
  const wanted = declared.filter(({ name }) => settings === undefined || !isLeftOut(settings, name));
  const found = declared.flatMap(({ id }) => deployed.get(id) ?? []);
  return {
    found: found.map(({ name, namespace, status, revision }) => ({ name, namespace, status, revision })),
    missing: wanted.filter(({ id }) => !deployed.has(id)).map(({ name }) => name),
  };
}

const readUnready = async (context: EnvironmentContext): Promise<readonly Finding[]> =>
  unreadyOf(await readPods(context, await namespacesOf(context)));

const isDatabaseReady = (context: EnvironmentContext, answerMs: number): Promise<boolean> =>
  withPostgresql(context, ({ host, port }) => isPostgresqlReady(host, port, answerMs), 0);
