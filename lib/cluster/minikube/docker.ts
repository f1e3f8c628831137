import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import type { Context } from '../../settings/context.ts';
import type { Environment } from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { noAnswer } from './engine.ts';
import { type Minikube, minikubeShell } from './shell.ts';

/** Docker objects of a minikube profile, whose nodes are `<profile>`, `<profile>-m02`, … */
export type Remains = {
  readonly containers: readonly string[];
  /** Disks, named like their nodes. */
  readonly volumes: readonly string[];
  /** Named like the profile. */
  readonly networks: readonly string[];
};

/** Lists the Docker objects of the environment's profile. Throws `TaskError` if Docker does not answer. */
export async function findRemains(context: Minikube): Promise<Remains> {
  const [containers, volumes, networks] = await Promise.all([
    list(context, ['container', 'ls', '--all', '--format', '{{.Names}}']),
    list(context, ['volume', 'ls', '--format', '{{.Name}}']),
    list(context, ['network', 'ls', '--format', '{{.Name}}']),
  ]);
  return { containers, volumes, networks };
}

async function list(context: Minikube, words: readonly string[]): Promise<readonly string[]> {
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
export async function removeRemains(context: Minikube): Promise<boolean> {
  const { containers, volumes, networks } = await findRemains(context);
  const $ = (await minikubeShell(context))({ quiet: true });
  if (containers.length > 0) await $`docker container rm --force --volumes ${containers}`;
  if (volumes.length > 0) await $`docker volume rm ${volumes}`;
  if (networks.length > 0) await $`docker network rm ${networks}`;
  return containers.length + volumes.length + networks.length > 0;
}

type Engine = { readonly NCPU: number; readonly MemTotal: number; readonly ServerVersion: string };

/** The oldest tested Docker engine. */
const oldestEngine = 24;

/** Checks that Docker has enough memory and CPUs. Throws `TaskError` with the setting to change. */
export async function checkEngine(context: Context): Promise<void> {
  const {
    environment: { name },
    settings: { cluster },
  } = context;
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true, timeoutMs: 30_000 });
  const output = await $`docker info --format ${'{{json .}}'}`;
  const engine = parseEngine(output.stdout);
  if (output.exitCode !== 0 || engine === undefined) throw noAnswer(reasonOf(output));
  const { nodes, cpus, memoryMB } = cluster;
  const settings = `environments/${name}/settings.yaml`;
  const availableMB = Math.floor(engine.MemTotal / 2 ** 20);
  if (nodes * memoryMB > availableMB) {
    throw new TaskError({
      what: `Docker has ${availableMB} MB of memory, the cluster needs ${nodes * memoryMB} MB`,
      why: `cluster.nodes is ${nodes} and cluster.memoryMB is ${memoryMB} for each of them`,
      advice: `lower cluster.memoryMB or cluster.nodes in ${settings}, or give Docker more memory (Docker Desktop: Settings, Resources)`,
    });
  }
  if (cpus > engine.NCPU) {
    throw new TaskError({
      what: `Docker has ${engine.NCPU} CPUs, a node of the cluster needs ${cpus}`,
      why: `cluster.cpus is ${cpus}`,
      advice: `lower cluster.cpus in ${settings}, or give Docker more CPUs (Docker Desktop: Settings, Resources)`,
    });
  }
  if (Number.parseInt(engine.ServerVersion, 10) < oldestEngine) {
    context.log(
      `Docker engine ${engine.ServerVersion} is older than ${oldestEngine}, the oldest tested version: it may work`,
    );
  }
}

/** If the engine does not answer, `docker info` still prints JSON, with zeros in these fields. */
function parseEngine(text: string): Engine | undefined {
  try {
    const engine = JSON.parse(text) as Partial<Engine>;
    return engine.NCPU && engine.MemTotal && engine.ServerVersion ? (engine as Engine) : undefined;
  } catch {
    return undefined;
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
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter(isGone)) await rm(join(folder, name), { recursive: true, force: true });
}
