import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { type CommandOutput, parseJson, TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import type { Environment, Settings, ShellContext } from '../../settings/context.ts';
import { loadSettings } from '../../settings/settings.ts';
import { endOf, reasonOf, signalOf } from '../../tools/tool-answer.ts';
import type { ClusterPhase } from '../provider.ts';
import { noAnswer } from './engine.ts';
import { minikubeReason, minikubeShell } from './shell.ts';

/** The environment's minikube profile; its phase is that of a completely created cluster. */
export type Profile = {
  readonly phase: Exclude<ClusterPhase, 'creating'>;
  /** Each in a few words. */
  readonly faults: readonly string[];
  readonly isPaused?: boolean;
  /** Nodes whose machine is paused. */
  readonly frozen?: readonly string[];
  /** Nodes whose machine is gone. */
  readonly missing?: readonly string[];
  /** True if the control plane's disk is gone, so that the cluster has to be recreated. */
  readonly isLost?: boolean;
  /** Advice if minikube can neither start nor stop it without hanging or failing. */
  readonly repair?: string | undefined;
};

/** Exit codes of minikube (pkg/minikube/reason/exitcodes.go): missing profile, invalid configuration. */
const notFound = 85;
const invalidConfiguration = 38;
/** `minikube status` adds 1, 2 and 4 for a stopped host, kubelet and API server; more is a failure. */
const everythingStopped = 7;

/**
 * The profile, by `minikube status`, as `profile list` shows only the control plane. Throws `TaskError` if minikube or
 * Docker fails, which never means "no cluster".
 */
export async function readProfile(context: ShellContext): Promise<Profile> {
  const { clusterName } = context.environment;
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 120_000 });
  const output = await $`minikube status --profile ${clusterName} --output json`;
  if (output.exitCode === notFound) return { phase: 'absent', faults: [] };
  const recreate = `${taskCommand('destroy-environment')} removes the cluster with its data, then ${taskCommand('create-environment')} creates a new one`;
  if (output.exitCode === invalidConfiguration)
    return {
      phase: 'degraded',
      faults: [`minikube cannot read its profile: ${minikubeReason(output)}`],
      repair: `repair ~/.minikube/profiles/${clusterName}/config.json; or: ${recreate}`,
    };
  const nodes = output.exitCode <= everythingStopped ? parseNodes(output.stdout) : undefined;
  if (nodes === undefined) throw failed(clusterName, 'status', output);
  if (nodes.length > 0) return profileOf(nodes);
  // minikube lists no nodes if one machine is gone or Docker does not answer.
  const unknown: Profile = { phase: 'degraded', faults: ['minikube does not find all machines'] };
  if ((await driverOf(context)) !== 'docker') return unknown;
  const { containers, volumes } = await findRemains(context);
  const isLost = !volumes.includes(clusterName);
  const listed = await $`minikube node list --profile ${clusterName}`;
  if (listed.exitCode !== 0) throw failed(clusterName, 'node list', listed);
  // Each line has a name and an address.
  const names = listed.stdout.split('\n').flatMap((line) => /^(\S+)\t/.exec(line)?.[1] ?? []);
  const missing = names.filter((name) => !containers.includes(name));
  if (missing.length === 0) return { ...unknown, isLost };
  const advice = isLost
    ? `its data is lost: ${taskCommand('create-environment')} recreates the cluster`
    : `its data is still in the Docker volume ${clusterName}: copy what you need; ${recreate}`;
  return {
    ...{ phase: 'degraded', missing, isLost, repair: missing.includes(clusterName) ? advice : undefined },
    faults: [`the machine of ${missing.join(', ')} is gone`],
  };
}

/**
 * The driver of the settings; docker, the default, if they are damaged or missing: the tasks that stop and remove need
 * none.
 */
export const driverOf = ({ environment, log }: ShellContext): Promise<Settings['cluster']['driver']> =>
  loadSettings(environment).then(
    ({ cluster }) => cluster.driver,
    (error: Error) => {
      log?.(`the settings cannot be read, so docker is taken for the driver of minikube: ${error.message}`);
      return 'docker';
    },
  );

/** The error of a failed command. Never quotes incomplete or foreign output as the reason. */
function failed(clusterName: string, command: string, output: CommandOutput): TaskError {
  const signal = signalOf(output);
  const reason = minikubeReason(output);
  const quoted = /^\s*[[{<]/.test(output.stdout) && output.stdout.includes(reason);
  const unread = signal === undefined && (output.exitCode === 0 || quoted);
  return new TaskError({
    what: `\`minikube ${command}\` failed`,
    why: unread
      ? `its output is not readable (${endOf(output)})`
      : signal === undefined
        ? reason
        : endOf(output),
    advice: `try: minikube ${command} --profile ${clusterName}`,
    exitCode: signal === undefined ? undefined : output.exitCode,
  });
}

/** A node in `minikube status -o json`. */
type Node = {
  readonly Name: string;
  /** State of the machine (with the docker driver, the container): `Running`, `Stopped`, … */
  readonly Host: string;
  readonly Kubelet: string;
  /** `Irrelevant` for workers, like the next one. */
  readonly APIServer: string;
  /** `Misconfigured` if the environment's kubeconfig does not lead to the API server. */
  readonly Kubeconfig: string;
};

/** One node is an object, several are a list, none is `null`; a failure is an event without `Host`. */
function parseNodes(text: string): readonly Node[] | undefined {
  const answer = parseJson(text) as Node | readonly Node[] | null | undefined;
  const nodes = [answer].flat().filter((node) => node !== null) as Node[];
  return nodes.every((node) => typeof node?.Host === 'string') ? nodes : undefined;
}

const fine: readonly string[] = ['Running', 'Configured', 'Irrelevant'];

function profileOf(nodes: readonly Node[]): Profile {
  // The first part of each node that is not as it has to be.
  const faults = nodes.flatMap(({ Name, Host, Kubelet, APIServer, Kubeconfig }) => {
    const parts = [
      ['node', Host],
      ['API server of', APIServer],
      ['kubelet of', Kubelet],
      ['kubeconfig of', Kubeconfig],
    ] as const;
    const fault = parts.find(([, state]) => !fine.includes(state));
    return fault ? [`${fault[0]} ${Name}: ${fault[1]}`] : [];
  });
  const isStopped = nodes.every(({ Host }) => Host === 'Stopped');
  return {
    phase: faults.length === 0 ? 'running' : isStopped ? 'stopped' : 'degraded',
    faults,
    // A paused machine gives its state to all its parts.
    isPaused: nodes.some(({ Host, APIServer }) => Host !== 'Paused' && APIServer === 'Paused'),
    frozen: nodes.flatMap(({ Name, Host }) => (Host === 'Paused' ? Name : [])),
  };
}

/**
 * Docker objects of the environment's minikube profile, whose nodes are `<profile>`, `<profile>-m02`, …: containers,
 * volumes (disks, named like their nodes) and networks. Throws `TaskError` if Docker does not answer.
 */
async function findRemains(context: ShellContext) {
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 30_000 });
  const ours = nodeNames(context.environment);
  const list = async (words: readonly string[]): Promise<readonly string[]> => {
    const output = await $`docker ${words}`;
    if (output.exitCode !== 0) throw noAnswer(reasonOf(output));
    return output.stdout
      .split('\n')
      .filter((name) => ours.test(name))
      .sort();
  };
  const [containers, volumes, networks] = await Promise.all([
    list(['container', 'ls', '--all', '--format', '{{.Names}}']),
    list(['volume', 'ls', '--format', '{{.Name}}']),
    list(['network', 'ls', '--format', '{{.Name}}']),
  ]);
  return { containers, volumes, networks };
}

/**
 * Removes what `minikube delete` leaves: the network of a profile with several nodes (minikube's issue 9776), and
 * everything of a profile without configuration. Returns true if there was anything.
 */
export async function removeRemains(context: ShellContext): Promise<boolean> {
  const { containers, volumes, networks } = await findRemains(context);
  const $ = (await minikubeShell(context))({ quiet: true });
  if (containers.length > 0) await $`docker container rm --force --volumes ${containers}`;
  if (volumes.length > 0) await $`docker volume rm ${volumes}`;
  if (networks.length > 0) await $`docker network rm ${networks}`;
  return containers.length + volumes.length + networks.length > 0;
}

/** minikube's folder (pkg/minikube/localpath). */
function minikubeHome(): string {
  const home = process.env.MINIKUBE_HOME ?? homedir();
  return basename(home) === '.minikube' ? home : join(home, '.minikube');
}

/** The sizes of each node in minikube's record of the profile, which a start with others does not change. */
export async function recordedSizes({ clusterName }: Environment) {
  const record = await textIfThere(join(minikubeHome(), 'profiles', clusterName, 'config.json'));
  const { CPUs, Memory } = Object(parseJson(record ?? ''));
  return { cpus: CPUs, memoryMB: Memory };
}

/** Matches nodes of the environment's profile: `<profile>`, `<profile>-m02`, … */
const nodeNames = ({ clusterName }: Environment): RegExp => new RegExp(`^${clusterName}(-m\\d+)?$`);

/**
 * Removes minikube's records of the profile's machines, or of one. With such a record, minikube takes a new machine of
 * that name for a member of the cluster and waits six minutes for it.
 */
export async function forgetMachines(environment: Environment, one?: string): Promise<void> {
  const folder = join(minikubeHome(), 'machines');
  const ours = nodeNames(environment);
  const names = ((await ifThere(readdir(folder))) ?? []).filter((name) => ours.test(name));
  for (const name of names.filter((name) => (one ?? name) === name))
    await rm(join(folder, name), { recursive: true, force: true });
}
