import { existsSync } from 'node:fs';
import { readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import type { Environment, Target } from '../../settings/context.ts';
import { cloneKey, readStateFile, writeStateFile, writeWhole } from '../../settings/environment.ts';
import { notRunning } from '../messages.ts';
import type { Servers } from '../provider.ts';
import { choosePorts, type Ports, portBlock, portNames, portsFrom } from './ports.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/** `create` creates what is missing, `start` needs an existing cluster. */
export type Mode = 'create' | 'start';

/** The record of an embedded cluster. `creating` until its API server first answers. */
export type EmbeddedState = {
  readonly phase: 'creating' | 'created';
  readonly kubernetesVersion: string;
  readonly ports: Ports;
};

const file = 'embedded.json';

/** The cluster's folder of kwokctl. */
export const clusterFolder = ({ state, clusterName }: Pick<Environment, 'state' | 'clusterName'>): string =>
  join(state, 'kwok', 'clusters', clusterName);

/** The ports of the cluster's services, in the order of their dependencies. */
export const kubernetesPorts: { readonly [service: string]: readonly (keyof Ports)[] } = {
  etcd: ['etcd', 'etcdPeer'],
  'kube-apiserver': ['kubeApiserver'],
  'kube-controller-manager': ['kubeControllerManager'],
  'kube-scheduler': ['kubeScheduler'],
  'kwok-controller': ['kwokController'],
};
export const kubernetesServices: readonly string[] = Object.keys(kubernetesPorts);
export const allServices = [
  ...kubernetesServices,
  'postgresql',
  'vault',
  'vault-secrets-operator',
  'job-runner',
];

/**
 * The cluster's record, or the same from other files; undefined without a cluster. Throws `TaskError` if it is damaged,
 * unreadable or lost for good, and for a cluster that was moved or is half removed.
 */
export async function readState(environment: Named): Promise<EmbeddedState | undefined> {
  const state = await readStateFile<EmbeddedState>(environment, file, {
    what: ', the record of the cluster, is damaged',
    isWhole: (state) => portNames.every((name) => Number.isInteger(state?.ports?.[name])),
    advice: restoreAdvice(),
  });
  await checkFolder(environment, state?.phase);
  return state ?? lostState(environment);
}

/** Undefined without a cluster; kwokctl's settings are written after the record, and removed before it. */
async function lostState(environment: Named): Promise<EmbeddedState | undefined> {
  const settings = await textIfThere(join(clusterFolder(environment), 'kwok.yaml'));
  if (settings === undefined) return undefined;
  const nodes = (await textIfThere(join(environment.state, 'nodes.yaml'))) ?? '';
  const port = /^ +kubeApiserverPort: (\d+)$/m.exec(settings)?.[1];
  const kubernetesVersion = /^ +kubeletVersion: (\S+)$/m.exec(nodes)?.[1];
  if (port && kubernetesVersion)
    return { phase: 'created', kubernetesVersion, ports: portsFrom(Number(port)) };
  const what = `.state/${environment.name}/${file}, the record of the cluster, is missing`;
  const why = 'kwok.yaml and nodes.yaml do not have its content, either';
  throw new TaskError({ what, why, advice: restoreAdvice() });
}

type Named = Pick<Environment, 'name' | 'state' | 'clusterName'>;

const newOne = (): string =>
  `a new environment (${taskCommand('destroy-environment')}, ${taskCommand('create-environment')}) has none of the data`;

export const restoreAdvice = (): string => `restore it from a copy; ${newOne()}`;

/** kwokctl's files contain the clone's path, as does the cluster's name. */
async function checkFolder(environment: Named, phase?: EmbeddedState['phase']): Promise<void> {
  const folder = clusterFolder(environment);
  const missing = join(folder, 'kwok.yaml');
  if (existsSync(missing)) return;
  const found = (await ifThere(readdir(dirname(folder)))) ?? [];
  const what = `the cluster of environment \`${environment.name}\` cannot be used`;
  const of = found.find((name) => name !== environment.clusterName);
  if (of !== undefined) {
    throw new TaskError({
      what: `${what}: this clone was moved or copied, or has another path here`,
      why: `its cluster, ${of}, works only at the path where it was created`,
      advice: `use the clone at that path, or move it back; ${newOne()}`,
    });
  }
  // The settings are written before the record.
  if (phase === undefined || (phase === 'creating' && existsSync(settingsIn(environment)))) return;
  throw new TaskError({
    what: `${what}: it is half removed`,
    why: `${missing} is missing; a run that was to remove the environment did not finish`,
    advice: `run ${taskCommand('destroy-environment')}, then ${taskCommand('create-environment')}`,
  });
}

/** The cluster's ports; for `--dry-run` those it would get if all were free. */
export const expectedPorts = async (environment: Environment): Promise<Ports> =>
  (await readState(environment))?.ports ?? portBlock(cloneKey(environment.name, environment.root));

const auditLogIn = (state: string): string => `${state}/logs/vault-audit.log`;

const settingsValues = ({ vault, postgresql }: Ports, state: string): TemplateValues => ({
  vault,
  postgresql,
  auditLog: auditLogIn(state),
});

/** The servers of the cluster, even before it exists. */
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
      address: `https://127.0.0.1:${vault}`,
      auditLog: auditLogIn(state),
      databaseAddress: `127.0.0.1:${postgresql}`,
    },
  };
}

/** A layer of settings with the servers' addresses, for the tasks and helmfile. */
const settingsIn = ({ state }: Pick<Environment, 'state'>): string => join(state, 'cluster.yaml');

/** The plain commands of `ensureState`, for `--dry-run`. */
export async function stateCommands(
  { environment, settings: { cluster } }: Target,
  mode: Mode,
): Promise<readonly string[]> {
  if (mode === 'start') return [];
  const { kubernetesVersion } = cluster;
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

/** The record of an existing cluster. Throws `TaskError` if there is none. */
export async function requireState(environment: Environment): Promise<EmbeddedState> {
  const state = await readState(environment);
  if (state) return state;
  throw notRunning(environment, 'absent');
}

export const writeState = (environment: Pick<Environment, 'state'>, state: EmbeddedState): Promise<void> =>
  writeStateFile(environment, file, state);

/**
 * The environment's record; without one, chooses ports and writes the files. Recorded services without it belong to a
 * lost cluster with other ports: stops them.
 */
export async function ensureState({ environment, settings: { cluster } }: Target): Promise<EmbeddedState> {
  const known = await readState(environment);
  if (known === undefined) {
    // Not for those who only read the record.
    const { readServices, stopServices } = await import('./services.ts');
    await stopServices(environment.state, await readServices(environment.state));
  }
  const state: EmbeddedState = known ?? {
    phase: 'creating',
    kubernetesVersion: cluster.kubernetesVersion,
    ports: await choosePorts(cloneKey(environment.name, environment.root)),
  };
  // Always: the folder has another path in a container, or was moved. YAML escapes a quoted path as JSON does.
  const escaped = JSON.stringify(environment.state).slice(1, -1);
  const text = await fillTemplate('cluster.yaml', settingsValues(state.ports, escaped));
  await writeWhole(settingsIn(environment), text);
  if (known === undefined) await writeState(environment, state);
  return state;
}

/** MiB. etcd and PostgreSQL reserve disk space for logs; without it, servers wait for each other forever. */
const spaceToCreate = 256;
const spaceToStart = 32;

/** Throws `TaskError` if the disk is too full to create or start the cluster. */
export async function checkSpace(environment: Environment, { phase }: EmbeddedState): Promise<void> {
  const neededMiB = phase === 'created' ? spaceToStart : spaceToCreate;
  const { bavail, bsize } = await statfs(environment.state);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= neededMiB) return;
  throw new TaskError({
    what: `no space left for environment \`${environment.name}\``,
    why: `${environment.state} has ${freeMiB} MiB free, the servers need about ${neededMiB}`,
    advice: 'free some space, then run again',
  });
}
