import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { bootId, processStartTime, TaskError } from '../../runner/runner.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { cloneKey, type Environment, writeWhole } from '../../settings/environment.ts';
import { notRunning } from '../not-running.ts';
import type { Servers } from '../provider.ts';
import { choosePorts, portBlock } from './ports.ts';
import { findProcesses } from './processes.ts';
import { readServices, type ServiceRecord, stopServices } from './services.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

export const portNames = [
  'kubeApiserver',
  'etcd',
  'etcdPeer',
  'kubeControllerManager',
  'kubeScheduler',
  'kwokController',
  'vault',
  'vaultCluster',
  'postgresql',
  'operatorMetrics',
  'operatorHealth',
] as const;

export type Ports = { readonly [name in (typeof portNames)[number]]: number };

/** What an embedded cluster was made with. `creating` until the API server answered for the first time. */
export type EmbeddedState = {
  readonly phase: 'creating' | 'created';
  readonly kubernetesVersion: string;
  readonly ports: Ports;
};

const path = (state: string): string => join(state, 'embedded.json');

/** The services of the cluster in the order in which they depend on each other. */
export const kubernetesServices = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok-controller',
] as const;
export const allServices = [
  ...kubernetesServices,
  'postgresql',
  'vault',
  'vault-secrets-operator',
  'job-runner',
] as const;

/** What was written about the cluster, or undefined when there is none. Throws `TaskError` when the file is damaged, or cannot be read. */
export async function readState(environment: Environment): Promise<EmbeddedState | undefined> {
  const text = await textIfThere(path(environment.state));
  if (text === undefined) return undefined;
  let reason = 'it does not name the ports';
  try {
    const state = JSON.parse(text) as EmbeddedState;
    if (portNames.every((name) => Number.isInteger(state?.ports?.[name]))) return state;
  } catch (error) {
    reason = (error as Error).message;
  }
  throw new TaskError({
    what: `.state/${environment.name}/embedded.json, which describes the cluster, is damaged`,
    why: reason,
    advice: `restore it from a copy; a new environment (${taskCommand('destroy-environment')}, ${taskCommand('create-environment')}) has none of the data`,
  });
}

/** The ports of the cluster, or those that it would be given if all are free: for `--dry-run`. */
export const expectedPorts = async (environment: Environment): Promise<Ports> =>
  (await readState(environment))?.ports ?? portBlock(cloneKey(environment.name, environment.root), portNames);

const auditLogIn = (state: string): string => `${state}/logs/vault-audit.log`;

const settingsValues = ({ vault, postgresql }: Ports, state: string): TemplateValues => ({
  vault,
  postgresql,
  auditLog: auditLogIn(state),
});

/** The servers of the cluster, or those that it will have. */
export async function expectedServers(environment: Environment): Promise<Servers> {
  const { kubeApiserver, vault, postgresql } = await expectedPorts(environment);
  const { name, clusterName, state } = environment;
  return {
    vault,
    postgresql,
    api: {
      host: `https://127.0.0.1:${kubeApiserver}`,
      caCertificateFile: `.state/${name}/kwok/clusters/${clusterName}/pki/ca.crt`,
    },
    settings: {
      address: `http://127.0.0.1:${vault}`,
      auditLog: auditLogIn(state),
      databaseAddress: `127.0.0.1:${postgresql}`,
    },
  };
}

/** Writes the layer of settings that tells the tasks and helmfile where the real servers are. */
async function writeSettings({ state }: Environment, ports: Ports): Promise<void> {
  // Within quotes of YAML a path is escaped as in JSON.
  const escaped = JSON.stringify(state).slice(1, -1);
  const text = await fillTemplate('cluster.yaml', settingsValues(ports, escaped));
  await writeWhole(join(state, 'cluster.yaml'), text);
}

/** The plain commands of `ensureState`, for `--dry-run` */
export async function stateCommands(
  environment: Environment,
  kubernetesVersion: string,
): Promise<readonly string[]> {
  const ports = await expectedPorts(environment);
  const state = `.state/${environment.name}`;
  const values = settingsValues(ports, `$PWD/${state}`);
  const record: EmbeddedState = { phase: 'created', kubernetesVersion, ports };
  return [
    `mkdir -p -m 700 ${state}/logs`,
    `${fillCommand('cluster.yaml', values)} > ${state}/cluster.yaml`,
    `echo '${JSON.stringify(record)}' > ${state}/embedded.json`,
  ];
}

/** The state of a cluster that was made. Throws `TaskError` when there is none. */
export async function requireState(environment: Environment): Promise<EmbeddedState> {
  const state = await readState(environment);
  if (state) return state;
  throw notRunning(environment, 'absent');
}

export const writeState = (environment: Environment, state: EmbeddedState): Promise<void> =>
  writeWhole(path(environment.state), `${JSON.stringify(state, null, 2)}\n`);

/**
 * The environment's state, made when it is not there: chooses the ports and writes `cluster.yaml`. Services that are recorded without a state belong to one that was lost,
 * with other ports, and are stopped; its cluster's token goes with them.
 */
export async function ensureState(
  environment: Environment,
  kubernetesVersion: string,
): Promise<EmbeddedState> {
  const known = await readState(environment);
  if (known) {
    // An environment of before may lack a setting.
    await writeSettings(environment, known.ports);
    return known;
  }
  await stopServices(environment.state, await readServices(environment.state));
  // A token of the cluster that is made anew below: Vault would show it to the new one, which does not know it.
  await rm(join(environment.state, 'vault', 'reviewer.jwt'), { force: true });
  const state: EmbeddedState = {
    phase: 'creating',
    kubernetesVersion,
    ports: await choosePorts(cloneKey(environment.name, environment.root), portNames),
  };
  await writeSettings(environment, state.ports);
  await writeState(environment, state);
  return state;
}

/** MiB. etcd and PostgreSQL take the space of their logs in advance; without it servers wait for each other in vain. */
const spaceToMake = 256;
const spaceToStart = 32;

/** Throws `TaskError` when the disk has no room for a cluster that is about to be made or started. */
export async function checkSpace(environment: Environment): Promise<void> {
  const neededMiB = (await readState(environment))?.phase === 'created' ? spaceToStart : spaceToMake;
  const { bavail, bsize } = await statfs(environment.state);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= neededMiB) return;
  throw new TaskError({
    what: `no space left for environment \`${environment.name}\``,
    why: `${environment.state} has ${freeMiB} MiB free, the servers need about ${neededMiB}`,
    advice: 'free some space, then run again',
  });
}

/** Services that this run started: an interrupted run takes them down again, a failed one unless they were handed over. */
const startedHere = new Map<string, ServiceRecord>();
let handedOver = false;

/** Keeps what `create-k8s` or `start-k8s` started beyond this run, unless the run is interrupted later. */
export const handOver = (): void => {
  handedOver = true;
};

/** Registers a service that was started by this run. */
export function startedByThisRun(context: EnvironmentContext, record: ServiceRecord): void {
  const { environment } = context;
  if (startedHere.size === 0) {
    context.onRunEnd(async (outcome) => {
      // None are left after a destroy in the same run.
      const stops = outcome === 'interrupted' || (outcome === 'failed' && !handedOver);
      if (stops && startedHere.size > 0) {
        context.log(`stopping what this run started: ${[...startedHere.keys()].join(', ')}`);
        await stopServices(environment.state, [...startedHere.values()], 5000);
        startedHere.clear();
      }
    });
  }
  startedHere.set(record.name, record);
}

/** Stops every process of the environment, recorded or left behind by a killed run. Returns how many there were. */
export async function stopEverything(environment: Environment): Promise<number> {
  const records = await readServices(environment.state);
  await stopServices(environment.state, records);
  startedHere.clear();
  return records.length + (await stopStrays(environment));
}

/**
 * Stops processes of the environment that no record names: a run was killed right after it started them. `programs` limits
 * it to those that nobody else is starting at this moment.
 */
export async function stopStrays(environment: Environment, programs?: readonly string[]): Promise<number> {
  // A kwokctl that goes on would start more of them.
  const first = programs?.includes('kwokctl') === false ? 0 : await endStrays(environment, ['kwokctl']);
  return first + (await endStrays(environment, programs));
}

async function endStrays(environment: Environment, programs?: readonly string[]): Promise<number> {
  const recorded = new Set((await readServices(environment.state)).map(({ pid }) => pid));
  const strays: ServiceRecord[] = [];
  for (const { pid, program } of await findProcesses(environment)) {
    if (recorded.has(pid) || (programs !== undefined && !programs.includes(program))) continue;
    const startTime = await processStartTime(pid);
    if (startTime !== undefined)
      strays.push({ name: `${program}-${pid}`, pid, startTime, bootId: await bootId() });
  }
  // They have no future: none gets the time for a slow end.
  await stopServices(environment.state, strays, 3000);
  return strays.length;
}

/** Removes pid files of kwokctl: it takes any living pid for its own, and would skip or kill somebody else's process. */
export async function forgetPids({ clusterName, state }: Environment): Promise<void> {
  const folder = join(state, 'kwok', 'clusters', clusterName, 'pids');
  // kwokctl wants the folder itself to be there.
  await mkdir(folder, { recursive: true });
  const files = await readdir(folder);
  await Promise.all(files.map((file) => rm(join(folder, file), { force: true })));
}
