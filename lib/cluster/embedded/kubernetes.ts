import { access, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { taskCommand } from '../../ground/launcher.ts';
import { root } from '../../ground/project.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import { type CommandOutput, TaskError } from '../../runner/runner.ts';
import type { Context, EnvironmentContext, Target } from '../../settings/context.ts';
import {
  type Environment,
  exportHomes,
  processEnvironment,
  remember,
  writeWhole,
} from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { findTool, type ToolName } from '../../tools/tools.ts';
import { connectApi, isApiReady } from './api.ts';
import { applyManifests } from './apply.ts';
import { applyIngress, ingressCommands } from './ingress.ts';
import { waitUntilUp } from './launch.ts';
import { applyNodes, compareNodes, nodeValues, restoreNodes } from './nodes.ts';
import { checkPorts } from './ports.ts';
import { findProcesses } from './processes.ts';
import {
  isAlive,
  readServices,
  recordService,
  type ServiceRecord,
  stopServices,
  waitForService,
} from './services.ts';
import {
  type EmbeddedState,
  expectedPorts,
  forgetPids,
  kubernetesServices,
  type Ports,
  requireState,
  startedByThisRun,
  stopStrays,
  writeState,
} from './state.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

const here = 'lib/cluster/embedded';

/** Milliseconds that the API server may take until it is ready. */
const timeoutMs = 120_000;

const forAdministrator = { for: 'administrator' } as const;

/** The programs that kwokctl is told, by its flags. */
const binaries: { readonly [flag: string]: ToolName } = {
  'etcd-binary': 'etcd',
  'kube-apiserver-binary': 'kube-apiserver',
  'kube-controller-manager-binary': 'kube-controller-manager',
  'kube-scheduler-binary': 'kube-scheduler',
  'kwok-controller-binary': 'kwok',
};

/** The plain commands, for `--dry-run`. */
export async function kubernetesCommands(
  target: Target,
  mode: 'create' | 'start',
): Promise<readonly string[]> {
  const { environment, settings } = target;
  const state = `.state/${environment.name}`;
  const nodes = Array.from({ length: settings.cluster.nodes }, (_, index) => index + 1);
  const programs = Object.entries(binaries).map(([flag, name]) => `--${flag} "$(command -v ${name})"`);
  const ingress = ingressCommands(settings, state);
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
    `${kubectlText(environment)} apply --server-side --force-conflicts ${[`${state}/nodes.yaml`, `${here}/system.yaml`, ...ingress.files].map((file) => `-f ${file}`).join(' ')}`,
  ];
}

/**
 * Makes or starts the Kubernetes part of the cluster and waits until the API server serves us, its administrator: the
 * releases need not wait until it serves everybody, see `waitForKubernetes`.
 * Returns whether anything had to be done. A half made cluster of a killed run is cleared and made again.
 */
export async function ensureKubernetes(context: Context): Promise<'changed' | 'unchanged'> {
  const { environment, settings } = context;
  const state = await requireState(environment);
  if (state.phase === 'created' && state.kubernetesVersion !== settings.cluster.kubernetesVersion) {
    throw new TaskError({
      what: `the cluster runs ${state.kubernetesVersion}, the settings ask for ${settings.cluster.kubernetesVersion}`,
      why: 'a cluster keeps the version it was made with',
      advice: `set the version back, or run ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
    });
  }
  let alive = await aliveServices(environment);
  const ready =
    alive.length > 0 && (await isApiReady(environment, state.ports.kubeApiserver, forAdministrator));
  if (state.phase === 'created') await compareNodes(context);
  if (ready && alive.length === kubernetesServices.length && state.phase === 'created') {
    const restored = await restoreKubeconfig(context);
    const api = await connectApi(environment, state.ports.kubeApiserver);
    const nodes = await restoreNodes(context, api);
    await applyIngress(api, settings);
    return restored ? 'changed' : nodes;
  }
  if (state.phase === 'creating') {
    await stopServices(environment.state, alive);
    alive = [];
    await rm(join(environment.state, 'kwok'), { recursive: true, force: true });
  } else if (!ready) {
    // They may be on their way out, as a run that was killed while it stopped them leaves them.
    await stopServices(
      environment.state,
      alive.filter(({ name }) => name === 'kube-apiserver' || name === 'etcd'),
    );
    alive = await aliveServices(environment);
  }
  await launch(context, state, alive);
  // For the same reason one of the others may have ended meanwhile.
  const left = await aliveServices(environment);
  if (left.length < kubernetesServices.length) await launch(context, { ...state, phase: 'created' }, left);
  return 'changed';
}

/** Waits until the API server that `ensureKubernetes` started is ready for everybody. Throws `TaskError` when it ends instead. */
export async function waitForKubernetes(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  await waitUntilUp(context, 'kube-apiserver', () =>
    isApiReady(environment, ports.kubeApiserver, { for: 'everybody' }),
  );
}

async function aliveServices({ state }: Environment): Promise<ServiceRecord[]> {
  const records = (await readServices(state)).filter(({ name }) =>
    (kubernetesServices as readonly string[]).includes(name),
  );
  const living = await Promise.all(records.map(isAlive));
  return records.filter((_, index) => living[index]);
}

const portsOf: { readonly [service in (typeof kubernetesServices)[number]]: readonly (keyof Ports)[] } = {
  etcd: ['etcd', 'etcdPeer'],
  'kube-apiserver': ['kubeApiserver'],
  'kube-controller-manager': ['kubeControllerManager'],
  'kube-scheduler': ['kubeScheduler'],
  'kwok-controller': ['kwokController'],
};

async function launch(
  context: Context,
  state: EmbeddedState,
  alive: readonly ServiceRecord[],
): Promise<void> {
  const { $, environment, settings } = context;
  const { ports } = state;
  const strays = await stopStrays(environment, ['kwokctl', ...kubernetesServices]);
  if (strays > 0) context.log(`cleared ${strays} processes that a run which was killed left behind`);
  const living = new Set(alive.map(({ name }) => name));
  const needed = kubernetesServices.filter((name) => !living.has(name)).flatMap((name) => portsOf[name]);
  await checkPorts(Object.fromEntries(needed.map((name) => [name, ports[name]])));
  await remember(environment);
  // kwokctl trusts any living pid in its files; only those of processes that we know may stay.
  await forgetPids(environment);
  await keepPids(environment, alive);
  try {
    const verb = state.phase === 'creating' ? await createArguments(context, ports) : ['start', 'cluster'];
    const result = await $({
      // The servers of the cluster inherit it: not the one for brief programs.
      env: await processEnvironment(environment),
      quiet: true,
      nothrow: true,
      daemons: true,
    })`kwokctl ${verb} --name ${environment.clusterName}`;
    if (result.exitCode !== 0) throw kwokctlFailed(environment, result);
  } finally {
    // Also when kwokctl failed or was stopped half-way: what it started is ours to take down.
    await adoptProcesses(context, living);
  }
  const apiServer = (await aliveServices(environment)).find(({ name }) => name === 'kube-apiserver');
  if (!apiServer) {
    throw new TaskError({
      what: 'the API server did not start',
      why: 'kwokctl ended well, but left no living kube-apiserver',
      advice: `see ${join(environment.state, 'kwok', 'clusters', environment.clusterName, 'logs')}`,
    });
  }
  const ready = () => isApiReady(environment, ports.kubeApiserver, forAdministrator);
  await waitForService(environment.state, apiServer, ready, { timeoutMs, signal: context.signal });
  await restoreKubeconfig(context);
  const api = await connectApi(environment, ports.kubeApiserver);
  await applyNodes(context, api, state.phase);
  await applyManifests(api, await readFile(join(root, here, 'system.yaml'), 'utf8'));
  await applyIngress(api, settings);
  await writeState(environment, { ...state, phase: 'created' });
}

/**
 * Writes the environment's kubeconfig again when it was deleted. kwokctl writes it only when it makes a cluster; what it
 * wrote is the cluster's own one, which stays in the cluster's folder. Returns whether it did.
 */
export async function restoreKubeconfig(
  context: Pick<EnvironmentContext, 'log' | 'environment'>,
): Promise<boolean> {
  const { environment } = context;
  const there = await access(environment.kubeconfig).then(
    () => true,
    () => false,
  );
  if (there) return false;
  const folder = join(environment.state, 'kwok', 'clusters', environment.clusterName);
  const own = await readFile(join(folder, 'kubeconfig.yaml'), 'utf8').catch((error: Error) => {
    throw new TaskError({
      what: `.state/${environment.name}/kubeconfig is gone and cannot be written again`,
      why: error.message,
      advice: `restore it from a copy; a new environment (${taskCommand('destroy-environment')}, ${taskCommand('create-environment')}) has none of the data`,
    });
  });
  await writeWhole(environment.kubeconfig, own);
  context.log(`wrote .state/${environment.name}/kubeconfig again`);
  return true;
}

const pidFolder = ({ clusterName, state }: Environment): string =>
  join(state, 'kwok', 'clusters', clusterName, 'pids');

async function keepPids(environment: Environment, alive: readonly ServiceRecord[]): Promise<void> {
  for (const { name, pid } of alive)
    await writeWhole(join(pidFolder(environment), `${name}.pid`), String(pid));
}

/** Records what kwokctl started: taken from the list of processes, since it may have failed before it wrote a pid file. */
async function adoptProcesses(context: EnvironmentContext, before: ReadonlySet<string>): Promise<void> {
  const { environment } = context;
  for (const { pid, program } of await findProcesses(environment)) {
    if (before.has(program) || !(kubernetesServices as readonly string[]).includes(program)) continue;
    const record = await recordService(environment.state, program, pid);
    if (record) startedByThisRun(context, record);
  }
}

async function createArguments({ environment, settings }: Target, ports: Ports): Promise<string[]> {
  const { kubernetesVersion } = settings.cluster;
  await writeWhole(join(environment.state, 'kwok.yaml'), await fillTemplate('kwok.yaml', kwokValues(ports)));
  const found = await Promise.all(
    Object.entries(binaries).map(async ([flag, tool]) => {
      const program = await findTool(tool, { kubernetesVersion });
      return program ? [`--${flag}`, program.path] : [];
    }),
  );
  // Relative: kwokctl takes the value apart at commas and quotes, which the path of a clone may hold.
  const config = relative(root, join(environment.state, 'kwok.yaml'));
  const files = ['--config', config, '--kubeconfig', environment.kubeconfig];
  return ['create', 'cluster', '--runtime', 'binary', ...files, ...found.flat()];
}

/** kwokctl logs one JSON object a line; its last one says what went wrong in `err`. */
function kwokctlFailed({ name, clusterName }: Environment, output: CommandOutput): TaskError {
  const reasons = [...output.stderr.matchAll(/"err":"((?:[^"\\\\]|\\\\.)*)"/g)].map(([, reason]) => reason);
  return new TaskError({
    what: 'kwokctl could not start the cluster',
    why: reasons.at(-1) ?? reasonOf(output),
    advice: `run it again; the logs of its servers: .state/${name}/kwok/clusters/${clusterName}/logs`,
    exitCode: output.exitCode,
  });
}

const kwokValues = ({ vaultCluster, operatorMetrics, operatorHealth, ...ports }: Ports): TemplateValues =>
  ports;
