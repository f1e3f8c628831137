import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { type CommandOutput, parseJson, TaskError } from '@k8s-deployment/runner';
import { ifThere } from '../../ground/if-there.ts';
import type { Environment, Settings, ShellContext } from '../../settings/context.ts';
import { loadSettings } from '../../settings/settings.ts';
import { endOf, reasonOf, signalOf } from '../../tools/tool-answer.ts';
import type { ClusterPhase } from '../provider.ts';
import { noAnswer } from './engine.ts';
import { minikubeReason, minikubeShell } from './shell.ts';

/** A node in `minikube status -o json`. */
export type Node = {
  readonly Name: string;
  /** State of the machine (with the docker driver, the container): `Running`, `Stopped`, … */
  readonly Host: string;
  readonly Kubelet: string;
  /** `Irrelevant` for workers, like the next one. */
  readonly APIServer: string;
  /** `Misconfigured` if the environment's kubeconfig does not lead to the API server. */
  readonly Kubeconfig: string;
};

/** The state of the environment's minikube profile. */
export type Profile =
  | { readonly kind: 'none' }
  | { readonly kind: 'nodes'; readonly nodes: readonly Node[] }
  /** A node's machine is gone; `dataLost` if the control plane's disk is gone too. */
  | { readonly kind: 'incomplete'; readonly missing: readonly string[]; readonly dataLost: boolean }
  /** Its configuration is unreadable. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** Exit codes of minikube (pkg/minikube/reason/exitcodes.go): missing profile, invalid configuration. */
const notFound = 85;
const invalidConfiguration = 38;
/** `minikube status` adds 1, 2 and 4 for a stopped host, kubelet and API server; more is a failure. */
const everythingStopped = 7;

/**
 * The profile with its nodes, by `minikube status`, as `profile list` shows only the control plane. Throws
 * `TaskError` if minikube or Docker fails, which never means "no cluster".
 */
export async function readProfile(context: ShellContext): Promise<Profile> {
  const { environment } = context;
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 120_000 });
  const output = await $`minikube status --profile ${environment.clusterName} --output json`;
  if (output.exitCode === notFound) return { kind: 'none' };
  if (output.exitCode === invalidConfiguration) return { kind: 'unreadable', reason: minikubeReason(output) };
  const nodes = output.exitCode <= everythingStopped ? parseNodes(output.stdout) : undefined;
  if (nodes === undefined) throw failed(environment, 'status', output);
  // minikube lists no nodes if one machine is gone or Docker does not answer.
  if (nodes.length > 0) return { kind: 'nodes', nodes };
  if ((await driverOf(context)) !== 'docker') return { kind: 'incomplete', missing: [], dataLost: false };
  const { containers, volumes } = await findRemains(context);
  const listed = await $`minikube node list --profile ${environment.clusterName}`;
  if (listed.exitCode !== 0) throw failed(environment, 'node list', listed);
  // Each line has a name and an address.
  const names = listed.stdout.split('\n').flatMap((line) => /^(\S+)\t/.exec(line)?.[1] ?? []);
  const missing = names.filter((name) => !containers.includes(name));
  return { kind: 'incomplete', missing, dataLost: !volumes.includes(environment.clusterName) };
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
function failed({ clusterName }: Environment, command: string, output: CommandOutput): TaskError {
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

/** One node is an object, several are a list, none is `null`; a failure is an event without `Host`. */
function parseNodes(text: string): readonly Node[] | undefined {
  const answer = parseJson(text) as Node | readonly Node[] | null | undefined;
  const nodes = [answer].flat().filter((node) => node !== null) as Node[];
  return nodes.every((node) => typeof node?.Host === 'string') ? nodes : undefined;
}

const fine: readonly string[] = ['Running', 'Configured', 'Irrelevant'];

/** The first part of a node that is not as it has to be, with its state; undefined for a node that works. */
function faultOf({ Name, Host, Kubelet, APIServer, Kubeconfig }: Node): string | undefined {
  const parts = [
    ['node', Host],
    ['API server of', APIServer],
    ['kubelet of', Kubelet],
    ['kubeconfig of', Kubeconfig],
  ] as const;
  const [part, state] = parts.find(([, state]) => !fine.includes(state)) ?? [];
  return part && `${part} ${Name}: ${state}`;
}

/** The phase of a completely created cluster. */
export function phaseOf(profile: Profile): ClusterPhase {
  if (profile.kind === 'none') return 'absent';
  if (profile.kind !== 'nodes') return 'degraded';
  if (profile.nodes.every((node) => faultOf(node) === undefined)) return 'running';
  return profile.nodes.every(({ Host }) => Host === 'Stopped') ? 'stopped' : 'degraded';
}

/** The faults of a profile, each in a few words. */
export function faultsOf(profile: Profile): readonly string[] {
  switch (profile.kind) {
    case 'none':
      return [];
    case 'unreadable':
      return [`minikube cannot read its profile: ${profile.reason}`];
    case 'incomplete':
      return [
        profile.missing.length === 0
          ? 'minikube does not find all machines'
          : `the machine of ${profile.missing.join(', ')} is gone`,
      ];
    case 'nodes':
      return profile.nodes.flatMap((node) => faultOf(node) ?? []);
  }
}

/**
 * Docker objects of the environment's minikube profile, whose nodes are `<profile>`, `<profile>-m02`, …: containers,
 * volumes (disks, named like their nodes) and networks. Throws `TaskError` if Docker does not answer.
 */
async function findRemains(context: ShellContext) {
  const [containers, volumes, networks] = await Promise.all([
    list(context, ['container', 'ls', '--all', '--format', '{{.Names}}']),
    list(context, ['volume', 'ls', '--format', '{{.Name}}']),
    list(context, ['network', 'ls', '--format', '{{.Name}}']),
  ]);
  return { containers, volumes, networks };
}

async function list(context: ShellContext, words: readonly string[]): Promise<readonly string[]> {
  const { environment } = context;
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 30_000 });
  const output = await $`docker ${words}`;
  if (output.exitCode !== 0) throw noAnswer(reasonOf(output));
  const ours = nodeNames(environment);
  return output.stdout
    .split('\n')
    .filter((name) => ours.test(name))
    .sort();
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
