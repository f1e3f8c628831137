import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, Environment, EnvironmentContext, Target } from '../../settings/context.ts';
import { exportHomes, processEnvironment, writeWhole } from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { findTool, type ToolName } from '../../tools/tools.ts';
import { ingressCommands, nodeValues } from './apply.ts';
import type { Ports } from './ports.ts';
import { findProcesses, startedByThisRun } from './processes.ts';
import { recordService, type ServiceRecord } from './services.ts';
import { clusterFolder, type EmbeddedState, expectedPorts, kubernetesServices, type Mode } from './state.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

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
export async function runKwokctl(
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
  for (const { pid, name } of await findProcesses(environment)) {
    if (before.some((known) => known.name === name) || !kubernetesServices.includes(name)) continue;
    const record = await recordService(environment.state, name, pid);
    if (record) startedByThisRun(context, record);
  }
}

/** kwokctl's links lead to the programs of the cluster's creation, which may be gone with their package or cache. */
export async function linkPrograms(
  environment: Environment,
  programs: readonly (readonly [service: string, path: string])[],
): Promise<void> {
  for (const [service, path] of programs) {
    const link = join(clusterFolder(environment), 'bin', service);
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
  const reasons = [...output.stderr.matchAll(/"err":"((?:[^"\\\\]|\\\\.)*)"/g)].map(([, reason]) => reason);
  return new TaskError({
    what: 'kwokctl could not start the cluster',
    why: reasons.at(-1) ?? reasonOf(output),
    advice: `run it again; the logs of its servers: .state/${name}/logs`,
    exitCode: output.exitCode,
  });
}

const kwokValues = ({ vaultCluster, operatorMetrics, operatorHealth, ...ports }: Ports): TemplateValues =>
  ports;
