import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration, type PageRow, TaskError } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import type { ClusterPhase } from '../cluster/provider.ts';
import { providerOf } from '../cluster/providers.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskLine } from '../ground/launcher.ts';
import { tellDrift } from '../helm/drift.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { formatAddresses, notesOf } from '../ingress/routes.ts';
import type { Context, Environment, EnvironmentContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { describeExpiries } from './certificates.ts';
import { describeDatabase, describeVault, isHalfStarted, unread } from './servers.ts';
import { readStatus, type Status } from './status.ts';

/** The status as text. Logs what cannot be read. */
export const formatStatus = async (status: Status, context: EnvironmentContext): Promise<string> =>
  (await fullRows(status, context))
    .map(({ name, text }) => (name === 'next' ? `\n${text}` : `${name.padEnd(12)} ${text}`))
    .join('\n');

/** The status as a page. Logs what cannot be read. */
export const formatPage = async (status: Status, context: EnvironmentContext): Promise<string> =>
  statusPage(status, await fullRows(status, context));

/** Everything that is known, and the next step. */
async function fullRows(status: Status, context: EnvironmentContext): Promise<readonly PageRow[]> {
  const rows = [...(await statusRows(status, context))];
  for (const text of await driftLines(context, status)) rows.push({ name: 'drift', text, tone: 'bad' });
  if (status.cluster.state === 'running') {
    const settings = await loadSettings(context.environment).catch(() => undefined);
    if (settings === undefined) rows.push({ name: 'address', text: unread, tone: 'bad' });
    const addresses = settings === undefined ? [] : await readAddresses({ ...context, settings });
    for (const { name, address } of addresses) rows.push({ name: 'address', text: `${name}: ${address}` });
    for (const text of notesOf(addresses)) rows.push({ name: '', text });
  }
  const next = await nextStep(status, context);
  return next === undefined ? rows : [...rows, { name: 'next', text: next }];
}

const simulated = 'nodes, pods, Services and Ingress; the API, Vault, its operator and PostgreSQL are real';

/** What is quickly known: all but manual changes and addresses. */
async function statusRows(status: Status, context: EnvironmentContext): Promise<readonly PageRow[]> {
  const { environment } = context;
  const { cluster, releases, certificates } = status;
  const unready = cluster.nodes.filter((node) => !node.ready);
  const ready = cluster.nodes.length - unready.length;
  const nodes = cluster.nodes.length === 0 ? '' : `, ${ready} of ${cluster.nodes.length} nodes ready`;
  const version = cluster.kubernetesVersion === null ? '' : `, Kubernetes ${cluster.kubernetesVersion}`;
  const faults = cluster.state === 'degraded' ? ` (${status.faults.join(', ')})` : '';
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
    ...(providerOf(status).simulatedPods && cluster.state !== 'absent' ? [row('simulated', simulated)] : []),
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
async function lastFailures({ name, state }: Environment): Promise<readonly string[]> {
  const files = (await ifThere(readdir(join(state, 'diagnostics')))) ?? [];
  return files
    .sort()
    .reverse()
    .slice(0, 3)
    .flatMap((file) => {
      const [, day, hours, minutes, seconds, of] =
        /^(.+)T(\d\d)-(\d\d)-(\d\d)-.*?Z-(.+)\.txt$/.exec(file) ?? [];
      const age = Date.now() - Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
      return age < newsMs ? [`${of}, ${formatDuration(age)} ago: .state/${name}/diagnostics/${file}`] : [];
    });
}

/** Addresses to open; none, with a line in the log, if they are not known. */
async function readAddresses(context: Context) {
  try {
    return await (await clusterOf(context.environment)).addresses(context);
  } catch (error) {
    context.log(`not known: the addresses (${(error as Error).message.split('\n')[0]})`);
    return [];
  }
}

/** The next step from a phase, and its task. */
const stepsFrom: { readonly [phase in ClusterPhase]?: readonly [step: string, task: string] } = {
  absent: ['create it', 'create-environment'],
  creating: ['finish it', 'create-environment'],
  stopped: ['start it', 'start-k8s'],
  degraded: ['start what is missing', 'start-k8s'],
};

/** What to do about the state, if anything; no task works with broken settings. */
async function nextStep(status: Status, { environment }: EnvironmentContext): Promise<string | undefined> {
  const fault = await loadSettings(environment).then(
    () => undefined,
    ({ advice, message }: TaskError) => advice ?? message,
  );
  if (fault !== undefined) return `correct the settings: ${fault}`;
  if (status.advice !== undefined) return status.advice;
  const core = await declaredReleases(environment.root, { tier: 'core' }).catch(() => []);
  const isCut = core.some(({ name }) => status.notInstalled.includes(name));
  const half = ['start what does not answer, and unseal Vault,', 'start-k8s'] as const;
  const running = isCut ? stepsFrom.creating : isHalfStarted(status) ? half : undefined;
  const [what, task] = stepsFrom[status.cluster.state] ?? running ?? [];
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

/** By which an earlier page is recognised. */
export const pageMark = '<meta name="generator" content="k8s-deployment status">';

/** The status as a self-contained page, which loads and runs nothing. */
export async function statusPage(
  { environment, cluster }: Status,
  rows: readonly PageRow[],
  now = new Date(),
): Promise<string> {
  const template = await readFile(new URL('status.html', import.meta.url), 'utf8');
  const parts: { readonly [name: string]: string } = {
    mark: pageMark,
    title: escapeHtml(`${environment}: ${cluster.state}`),
    rows: rows.map(tableRow).join('\n'),
    read: `Read at <time datetime="${now.toISOString()}">${now.toUTCString()}</time>`,
  };
  return template.replace(/<!-- (\w+) -->/g, (_, name: string) => parts[name] ?? '');
}

function tableRow({ name, text, tone }: PageRow): string {
  const kind = tone === undefined ? '' : ` class="${tone}"`;
  return `<tr${kind}><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(text)}</td></tr>`;
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Milliseconds for each query, since an old page is worse than an incomplete one. */
const watchAnswerMs = 5000;

/**
 * Shows the status again and again until the run is stopped or its reader has gone, whatever becomes of the cluster.
 */
export async function watchStatus(context: EnvironmentContext, everyMs = 3000): Promise<void> {
  let isRead = true;
  process.stdout.once('error', () => {
    isRead = false;
  });
  while (!context.signal.aborted && isRead) {
    const unknown: PageRow[] = [];
    const log = (text: string) => unknown.push({ name: '', text, tone: 'bad' });
    const rows = await readRows({ ...context, log });
    const time = `${new Date().toLocaleTimeString('en-GB')}, again every ${everyMs / 1000} s until Ctrl-C`;
    if (!context.signal.aborted) context.page([...rows, ...unknown, { name: '', text: time, tone: 'soft' }]);
    await delay(everyMs, undefined, { signal: context.signal }).catch(() => undefined);
  }
}

async function readRows(context: EnvironmentContext): Promise<readonly PageRow[]> {
  try {
    return await statusRows(await readStatus(context, watchAnswerMs), context);
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    return [{ name: 'error', text: error.message, tone: 'bad' }];
  }
}

/** What a new environment can be used for: its addresses, the next tasks, and how to stop it. */
export async function nextSteps(context: Context): Promise<string> {
  const { name, provider } = context.environment;
  const tasks = [
    [taskLine('install-tier apps'), 'install the applications'],
    [taskLine('status'), 'show cluster, releases, Vault and database'],
    ...(providerOf(context.environment).ownsCluster
      ? [[taskLine('stop-k8s'), 'stop it and keep its data']]
      : []),
    [taskLine('destroy-environment'), 'remove it with its data'],
  ] as const;
  const width = Math.max(...tasks.map(([task]) => task.length));
  const blocks = [
    `environment \`${name}\` (${provider}) is ready`,
    formatAddresses(await readAddresses(context)),
    tasks.map(([task, what]) => `${task.padEnd(width)}  ${what}`).join('\n'),
  ];
  return blocks.filter((block) => block !== '').join('\n\n');
}
