import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type CommandOutput, parseJson, TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, Environment, EnvironmentContext, Outcome, Target } from '../../settings/context.ts';
import { exportHomes, processEnvironment, remember, writeWhole } from '../../settings/environment.ts';
import type { ToolName } from '../../tools/manifest.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { findTool } from '../../tools/tools.ts';
import { connectApi, isApiReady } from './api.ts';
import { applyManifests, ingressCommands, ingressManifests, nodeManifests, nodeValues } from './apply.ts';
import { checkPorts, type Ports } from './ports.ts';
import { findProcesses, startedByThisRun, stopStrays } from './processes.ts';
import {
  livingServices,
  recordService,
  type ServiceRecord,
  stopServices,
  tellLostData,
  waitForService,
} from './services.ts';
import {
  clusterFolder,
  type EmbeddedState,
  expectedPorts,
  kubernetesPorts,
  kubernetesServices,
  type Mode,
  requireState,
  restoreAdvice,
  writeState,
} from './state.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/** Milliseconds for the API server to become ready. */
const timeoutMs = 120_000;

/**
 * Creates or starts the Kubernetes part of the cluster, until the API server is ready. Recreates a cluster that a
 * killed run left incomplete.
 */
export async function ensureKubernetes(context: Context): Promise<Outcome> {
  const { environment, settings } = context;
  const state = await requireState(environment);
  if (state.phase === 'created' && state.kubernetesVersion !== settings.cluster.kubernetesVersion) {
    throw new TaskError({
      what: `the cluster runs ${state.kubernetesVersion}, the settings ask for ${settings.cluster.kubernetesVersion}`,
      why: 'a cluster keeps the version it was created with',
      advice: `set the version back, or run ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
    });
  }
  const restored = state.phase === 'created' && (await restoreKubeconfig(context));
  const alive = await livingKubernetes(environment);
  const ready = alive.length > 0 && (await isApiReady(environment, state.ports.kubeApiserver));
  const isUp = state.phase === 'created' && ready && alive.length === kubernetesServices.length;
  if (!isUp) {
    if (state.phase === 'creating') {
      await stopServices(environment.state, alive);
      await rm(join(environment.state, 'kwok'), { recursive: true, force: true });
    } else if (!ready) {
      // A killed run may have been stopping them.
      const unready = alive.filter(({ name }) => name === 'kube-apiserver' || name === 'etcd');
      await stopServices(environment.state, unready);
      const data = join('kwok', 'clusters', environment.clusterName, 'etcd');
      const back = `${taskCommand('create-environment , install-all')} installs all again`;
      await tellLostData(context, 'etcd', data, back);
    }
    await startServers(context, state);
  }
  const api = await connectApi(environment, state.ports.kubeApiserver);
  const system = await fillTemplate('system.yaml', {});
  const manifests = [await nodeManifests(context, state.phase), system, ...(await ingressManifests(context))];
  await applyManifests(api, manifests.join('\n---\n'));
  await writeState(environment, { ...state, phase: 'created' });
  return isUp && !restored ? 'unchanged' : 'changed';
}

/**
 * Starts servers of a created cluster that have ended: a killed run may have been stopping them, and
 * kube-controller-manager gives up if the API server is not healthy within 10 s, as on a busy machine.
 */
export const restartEnded = async (context: Context): Promise<void> =>
  startServers(context, await requireState(context.environment));

const livingKubernetes = async ({ state }: Environment): Promise<ServiceRecord[]> =>
  (await livingServices(state)).filter(({ name }) => kubernetesServices.includes(name));

/** Starts the servers that do not run, and waits until the API server is ready. */
async function startServers(context: Context, state: EmbeddedState): Promise<void> {
  const { environment } = context;
  const { ports } = state;
  const alive = await livingKubernetes(environment);
  if (alive.length === kubernetesServices.length) return;
  const strays = await stopStrays(environment, ['kwokctl', ...kubernetesServices]);
  if (strays > 0) context.log(`stopped ${strays} processes that a killed run left behind`);
  const living = alive.map(({ name }) => name);
  const needed = Object.entries(kubernetesPorts).flatMap(([name, own]) => (living.includes(name) ? [] : own));
  await checkPorts(Object.fromEntries(needed.map((name) => [name, ports[name]])));
  await remember(environment);
  await runKwokctl(context, state, alive);
  const ready = () => isApiReady(environment, ports.kubeApiserver);
  await waitForService(context, 'kube-apiserver', ready, timeoutMs);
}

/** Undefined if it is missing or damaged: without a server, kubectl would ask another one. */
export const readKubeconfig = async (path: string): Promise<string | undefined> =>
  /^ +server: .*^ +client-key/ms.exec((await textIfThere(path)) ?? '')?.input;

/**
 * Restores a lost kubeconfig, or kwokctl's copy, since kwokctl writes both only on creation. Returns true if it did.
 * Throws `TaskError` if both are lost, or a file that they name.
 */
export async function restoreKubeconfig({ environment, log }: EnvironmentContext): Promise<boolean> {
  const folder = clusterFolder(environment);
  const files = [environment.kubeconfig, join(folder, 'kubeconfig.yaml')];
  const texts = await Promise.all(files.map(readKubeconfig));
  const whole = texts.find((text) => text !== undefined) ?? '';
  const keys = ['ca.crt', 'admin.crt', 'admin.key'].map((file) => join(folder, 'pki', file));
  const gone = whole === '' ? environment.kubeconfig : keys.find((file) => !existsSync(file));
  if (gone !== undefined)
    throw new TaskError({
      what: `${relative(environment.root, gone)} is missing or damaged, and cannot be restored`,
      why: 'nothing else has its content',
      advice: restoreAdvice(),
    });
  const lost = files.filter((_, index) => texts[index] === undefined);
  for (const file of lost) {
    await writeWhole(file, whole);
    log(`restored ${relative(environment.root, file)}`);
  }
  return lost.length > 0;
}

const toolOf = (service: string) => (service === 'kwok-controller' ? 'kwok' : service) as ToolName;

/** The plain commands, for `--dry-run`. */
export async function kubernetesCommands(target: Target, mode: Mode): Promise<readonly string[]> {
  const { environment, settings } = target;
  const state = `.state/${environment.name}`;
  const nodes = Array.from({ length: settings.cluster.nodes }, (_, index) => index + 1);
  const programs = kubernetesServices.map((name) => `--${name}-binary "$(command -v ${toolOf(name)})"`);
  const ingress = ingressCommands(settings, state);
  const manifests = [`${state}/nodes.yaml`, 'lib/cluster/embedded/system.yaml', ...ingress.files];
  const start = `kwokctl ${mode} cluster --name ${environment.clusterName} --wait 2m`;
  return [
    exportHomes(environment, 'KWOK_WORKDIR'),
    ...(mode === 'create'
      ? [
          `${fillCommand('kwok.yaml', kwokValues(await expectedPorts(environment)))} > ${state}/kwok.yaml`,
          `${start} --runtime binary --config ${state}/kwok.yaml --kubeconfig ${state}/kubeconfig ${programs.join(' ')}`,
        ]
      : [start]),
    `for node in ${nodes.join(' ')}; do ${fillCommand('node.yaml', nodeValues(target, '$node'))}; echo ---; done > ${state}/nodes.yaml`,
    ...ingress.commands,
    `${kubectlText(environment)} apply --server-side --force-conflicts ${manifests.map((file) => `-f ${file}`).join(' ')}`,
  ];
}

/**
 * Runs `kwokctl create` or `kwokctl start` beside the services `alive`, and records each process that it starts, even
 * if it fails or is stopped. Throws `TaskError` with kwokctl's reason.
 */
async function runKwokctl(
  context: Context,
  { phase, ports }: EmbeddedState,
  alive: readonly ServiceRecord[],
): Promise<void> {
  const { $, environment } = context;
  await prepareFolder(environment, alive);
  if (phase === 'created') await linkPrograms(environment, await findPrograms(context));
  try {
    const words = phase === 'creating' ? await createArguments(context, ports) : ['start', 'cluster'];
    const output = await $({
      // Inherited by the servers, so not the variables for short-lived programs.
      env: await processEnvironment(environment),
      quiet: true,
      nothrow: true,
      daemons: true,
    })`kwokctl ${words} --name ${environment.clusterName}`;
    if (output.exitCode !== 0) throw kwokctlFailed(environment, output);
  } finally {
    await adoptProcesses(context, alive);
  }
}

/**
 * Leaves only these pid files: kwokctl would skip or kill any process whose pid is in one. Its servers' logs join the
 * others.
 */
export async function prepareFolder(
  environment: Environment,
  services: readonly ServiceRecord[],
): Promise<void> {
  const cluster = clusterFolder(environment);
  const folder = join(cluster, 'pids');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { name, pid } of services) await writeWhole(join(folder, `${name}.pid`), String(pid));
  await mkdir(join(environment.state, 'logs'), { recursive: true, mode: 0o700 });
  // Fails if it is there.
  await symlink('../../../logs', join(cluster, 'logs')).catch(() => undefined);
}

/** Records processes that kwokctl started, since it may fail before writing their pid files. */
async function adoptProcesses(context: EnvironmentContext, before: readonly ServiceRecord[]): Promise<void> {
  const { environment } = context;
  for (const { pid, name } of await findProcesses(environment, kubernetesServices)) {
    if (before.some((known) => known.name === name)) continue;
    const record = await recordService(environment.state, name, pid);
    if (record) startedByThisRun(context, record);
  }
}

/** kwokctl's links lead to the programs of the cluster's creation, which may be gone with their package or cache. */
export async function linkPrograms(
  environment: Environment,
  programs: readonly (readonly [service: string, path: string])[],
): Promise<void> {
  const folder = join(clusterFolder(environment), 'bin');
  await mkdir(folder, { recursive: true });
  for (const [service, path] of programs) {
    const link = join(folder, service);
    if (existsSync(link)) continue;
    await rm(link, { force: true });
    await symlink(path, link);
  }
}

async function findPrograms({ settings }: Target): Promise<(readonly [service: string, path: string])[]> {
  const { kubernetesVersion } = settings.cluster;
  const found = kubernetesServices.map(async (service) => {
    const program = await findTool(toolOf(service), { kubernetesVersion });
    return program ? ([[service, program.path]] as const) : [];
  });
  return (await Promise.all(found)).flat();
}

async function createArguments(target: Target, ports: Ports): Promise<string[]> {
  const { environment } = target;
  const file = join(environment.state, 'kwok.yaml');
  await writeWhole(file, await fillTemplate('kwok.yaml', kwokValues(ports)));
  const programs = (await findPrograms(target)).flatMap(([service, path]) => [`--${service}-binary`, path]);
  // Relative: kwokctl splits the value at commas and quotes, which the clone's path may contain.
  const files = ['--config', relative(environment.root, file), '--kubeconfig', environment.kubeconfig];
  return ['create', 'cluster', '--runtime', 'binary', ...files, ...programs];
}

/** kwokctl logs a JSON object per line; the last `err` is the reason. */
function kwokctlFailed({ name }: Environment, output: CommandOutput): TaskError {
  const messages = output.stderr.split('\n').map((line) => Object(parseJson(line)) as { err?: string });
  return new TaskError({
    what: 'kwokctl could not start the cluster',
    why: messages.findLast(({ err }) => err !== undefined)?.err ?? reasonOf(output),
    advice: `run it again; the logs of its servers: .state/${name}/logs`,
    exitCode: output.exitCode,
  });
}

const kwokValues = ({ vaultCluster, operatorMetrics, operatorHealth, ...ports }: Ports): TemplateValues =>
  ports;
