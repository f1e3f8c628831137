import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson, TaskError, UsageError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { shellWords } from '../../ground/shell-words.ts';
import { routeAddresses, routeCommands } from '../../ingress/routes.ts';
import { kubectl, kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, Environment, EnvironmentContext } from '../../settings/context.ts';
import { remember, remembered, writeWhole } from '../../settings/environment.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { notRunning } from '../messages.ts';
import type { Cluster } from '../provider.ts';
import { noAnswer, requireEngine } from './engine.ts';
import { loadCommands, loadImages } from './images.ts';
import { driverOf, forgetMachines, type Profile, readProfile, removeRemains } from './profile.ts';
import { minikubeShell, runMinikube } from './shell.ts';
import {
  addonArguments,
  afterwards,
  makeUsable,
  startCommands,
  startCreated,
  startNodes,
  text,
  unpause,
} from './start.ts';

export const cluster: Cluster = {
  commands: {
    create: (target) => [
      ...startCommands(target),
      ...addonArguments(target).map((words) => text(target.environment, words)),
      ...afterwards(target).map((words) => `${kubectlText(target.environment)} ${shellWords(words)}`),
    ],
    start: (target) => startCommands(target, 'existing'),
    stop: ({ environment }) => [text(environment, ['stop', '--profile', environment.clusterName])],
    destroy: ({ environment }) => [
      text(environment, ['delete', '--profile', environment.clusterName]),
      `docker network rm --force ${environment.clusterName}`,
    ],
    services: routeCommands,
  },

  check: async ({ cluster }, user) => {
    if (cluster.driver !== 'docker') return;
    if (user === 0) {
      throw new UsageError({
        what: 'minikube cannot be run as root',
        why: 'it refuses root with its docker driver',
        advice: 'run as another user in the group docker, or use --provider embedded',
      });
    }
    await requireEngine();
  },

  state: async (context) => {
    const { phase, faults } = await readProfile(context);
    const isComplete = (await readProgress(context.environment)) === 'complete';
    return { phase: isComplete || phase === 'absent' ? phase : 'creating', faults };
  },

  create: async (context) => {
    const { $, environment, settings } = context;
    const profile = await readProfile(context);
    const progress = await readProgress(environment);
    const exists = profile.phase !== 'absent';
    if (exists && (await remembered(environment)) === undefined) throw unknownProfile(environment);
    if (exists && progress === 'complete' && !profile.isLost) return startCreated(context, profile);
    if (settings.cluster.driver === 'docker') await checkEngine(context);
    // From now on destroy-environment must find it, even if the rest fails.
    await remember(environment);
    if (progress !== 'started' || profile.phase !== 'running') {
      if (exists) {
        context.log(
          progress === 'complete'
            ? `the cluster is recreated without its data: ${profile.faults.join(', ')}`
            : 'a run that did not finish left the cluster half created: starting over',
        );
        await removeProfile(context, profile);
      }
      await startNodes(context);
      await writeWhole(progressFile(environment.state), 'started');
    }
    for (const words of addonArguments(context)) await runMinikube(context, words);
    for (const words of afterwards(context)) await $`${kubectl(environment)} ${words}`;
    await writeWhole(progressFile(environment.state), 'complete');
    return 'changed';
  },

  start: async (context) => {
    const { environment } = context;
    const profile = await readProfile(context);
    if (profile.phase === 'absent') throw notRunning(environment, 'absent');
    if ((await readProgress(environment)) !== 'complete') throw notRunning(environment, 'creating');
    return startCreated(context, profile);
  },

  stop: async (context) => {
    const { environment } = context;
    const profile = await readProfile(context);
    if (profile.phase === 'absent' || profile.phase === 'stopped') return 'unchanged';
    await makeUsable(context, profile);
    await runMinikube(context, ['stop', '--profile', environment.clusterName]);
    return 'changed';
  },

  destroy: async (context) => {
    const { environment } = context;
    const profile = await readProfile(context);
    const removed = await removeProfile(context, profile);
    await rm(environment.kubeconfig, { force: true });
    return removed ? 'changed' : 'unchanged';
  },

  addresses: routeAddresses,
  images: { commands: loadCommands, load: loadImages },
};

/**
 * The progress of `create`: `started` once each node runs, `complete` at the end. minikube reports `Running` after
 * the first node, and a second start does not add the others.
 */
const readProgress = ({ state }: Environment): Promise<string | undefined> =>
  textIfThere(progressFile(state));

const progressFile = (state: string): string => join(state, 'minikube.progress');

/** Removes the profile and its remains. Returns true if there was anything. */
async function removeProfile(context: EnvironmentContext, profile: Profile): Promise<boolean> {
  const { environment } = context;
  await unpause(context, profile).catch((error: Error) => context.log(error.message));
  // A start that failed early leaves files but no profile.
  if (profile.phase !== 'absent' || (await remembered(environment)) !== undefined) {
    await runMinikube(context, ['delete', '--profile', environment.clusterName]);
  }
  const remains = (await driverOf(context)) === 'docker' && (await removeRemains(context));
  await forgetMachines(environment);
  await rm(progressFile(environment.state), { force: true });
  return profile.phase !== 'absent' || remains;
}

const unknownProfile = ({ clusterName, name }: Environment): TaskError =>
  new TaskError({
    what: `minikube has a profile ${clusterName} that environment \`${name}\` has no record of`,
    why: `.state/${name} was removed while the cluster was kept; Vault's keys were in it`,
    advice: `${taskCommand('destroy-environment')} removes the cluster, then ${taskCommand('create-environment')} creates a new one`,
  });

type Engine = { readonly NCPU?: number; readonly MemTotal?: number; readonly ServerVersion?: string };

/** The oldest tested Docker engine. */
const oldestEngine = 24;

/** Checks that Docker has enough memory and CPUs. Throws `TaskError` with the setting to change. */
async function checkEngine(context: Context): Promise<void> {
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
