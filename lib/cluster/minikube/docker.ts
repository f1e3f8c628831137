import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { parseJson, TaskError } from '@k8s-deployment/runner';
import { ifThere } from '../../ground/if-there.ts';
import type { Context, Environment, ShellContext } from '../../settings/context.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { noAnswer } from './engine.ts';
import { minikubeShell } from './shell.ts';

/**
 * Docker objects of the environment's minikube profile, whose nodes are `<profile>`, `<profile>-m02`, …: containers,
 * volumes (disks, named like their nodes) and networks. Throws `TaskError` if Docker does not answer.
 */
export async function findRemains(context: ShellContext) {
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

type Engine = { readonly NCPU?: number; readonly MemTotal?: number; readonly ServerVersion?: string };

/** The oldest tested Docker engine. */
const oldestEngine = 24;

/** Checks that Docker has enough memory and CPUs. Throws `TaskError` with the setting to change. */
export async function checkEngine(context: Context): Promise<void> {
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 30_000 });
  const output = await $`docker info --format ${'{{json .}}'}`;
  const { NCPU, MemTotal, ServerVersion } = (parseJson(output.stdout) ?? {}) as Engine;
  // If the engine does not answer, `docker info` still prints JSON, with zeros in these fields.
  if (output.exitCode !== 0 || !NCPU || !MemTotal || !ServerVersion) throw noAnswer(reasonOf(output));
  const { nodes, cpus, memoryMB } = context.settings.cluster;
  const settings = `environments/${context.environment.name}/settings.yaml`;
  const availableMB = Math.floor(MemTotal / 2 ** 20);
  if (nodes * memoryMB > availableMB) {
    throw new TaskError({
      what: `Docker has ${availableMB} MB of memory, the cluster needs ${nodes * memoryMB} MB`,
      why: `cluster.nodes is ${nodes} and cluster.memoryMB is ${memoryMB} for each of them`,
      advice: `lower cluster.memoryMB or cluster.nodes in ${settings}, or give Docker more memory (Docker Desktop: Settings, Resources)`,
    });
  }
  if (cpus > NCPU) {
    throw new TaskError({
      what: `Docker has ${NCPU} CPUs, a node of the cluster needs ${cpus}`,
      why: `cluster.cpus is ${cpus}`,
      advice: `lower cluster.cpus in ${settings}, or give Docker more CPUs (Docker Desktop: Settings, Resources)`,
    });
  }
  if (Number.parseInt(ServerVersion, 10) < oldestEngine) {
    context.log(
      `Docker engine ${ServerVersion} is older than ${oldestEngine}, the oldest tested version: it may work`,
    );
  }
}

/** minikube's folder (pkg/minikube/localpath). */
function minikubeHome(): string {
  const home = process.env.MINIKUBE_HOME ?? homedir();
  return basename(home) === '.minikube' ? home : join(home, '.minikube');
}

/** Matches nodes of the environment's profile: `<profile>`, `<profile>-m02`, … */
export const nodeNames = ({ clusterName }: Environment): RegExp => new RegExp(`^${clusterName}(-m\\d+)?$`);

/**
 * Removes minikube's records of machines for which `isGone` is true. With such a record, minikube takes a new machine
 * of that name for a member of the cluster and waits six minutes for it.
 */
export async function forgetMachines(isGone: (name: string) => boolean): Promise<void> {
  const folder = join(minikubeHome(), 'machines');
  const names = (await ifThere(readdir(folder))) ?? [];
  for (const name of names.filter(isGone)) await rm(join(folder, name), { recursive: true, force: true });
}
