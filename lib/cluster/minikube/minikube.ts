import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Environment,
  remember,
  remembered,
  settingsOf,
  shellOf,
  writeWhole,
} from '../../environment.ts';
import { routeAddresses, routeCommands } from '../../ingress/addresses.ts';
import { kubectl, kubectlText } from '../../kubectl.ts';
import { type TaskContext, TaskError, UsageError } from '../../runner/runner.ts';
import type { Settings } from '../../settings.ts';
import { shellWords } from '../../shell-words.ts';
import type { ClusterProvider } from '../provider.ts';
import { checkEngine, removeRemains } from './docker.ts';
import { faultsOf, type Profile, phaseOf, readProfile } from './nodes.ts';
import { type Minikube, runMinikube } from './shell.ts';

/** `minikube start` with all that the settings say. Running it again on a stopped cluster starts that one. */
export function startArguments(environment: Environment, { cluster }: Settings): readonly string[] {
  const { driver, nodes, cpus, memoryMB, kubernetesVersion, cni } = cluster;
  const { containerRuntime, baseImage } = cluster;
  return [
    ...['start', '--profile', environment.clusterName, '--driver', driver],
    ...['--nodes', String(nodes), '--cpus', String(cpus), '--memory', `${memoryMB}mb`],
    ...['--kubernetes-version', kubernetesVersion, '--cni', cni],
    ...(containerRuntime === '' ? [] : ['--container-runtime', containerRuntime]),
    ...(baseImage === '' ? [] : ['--base-image', baseImage]),
    ...['--wait', 'all', '--interactive=false'],
    ...cluster.startArguments,
  ];
}

const addonArguments = (environment: Environment, addon: string): readonly string[] => [
  ...['addons', 'enable', addon, '--profile', environment.clusterName],
];

/** minikube's own ingress controller is ingress-nginx. */
const addons = ({ cluster, ingress }: Settings): readonly string[] => [
  ...(ingress.controller === 'nginx' ? ['ingress'] : []),
  ...cluster.addons,
];

/** minikube asks each node's kubelet; that the API server sees it takes some seconds more. */
const waitForNodes: readonly string[] = [
  ...['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout', '120s'],
];

/** minikube waits for the pods of some addons only, and volumes stay Pending until their driver runs. */
const waitForAddons: readonly string[] = [
  ...['--namespace', 'kube-system', 'rollout', 'status'],
  ...['deployments,statefulsets,daemonsets', '--timeout', '360s'],
];

/** minikube's hostPath class is broken with several nodes, so another one becomes the default. */
const storageClassArguments = ({ cluster }: Settings): readonly (readonly string[])[] =>
  cluster.storageClass === ''
    ? []
    : (
        [
          ['standard', false],
          [cluster.storageClass, true],
        ] as const
      ).map(([name, isDefault]) => [
        ...['annotate', 'storageclass', name],
        ...[`storageclass.kubernetes.io/is-default-class=${isDefault}`, '--overwrite'],
      ]);

/** The kubectl calls that follow the start. */
const afterwards = (settings: Settings): readonly (readonly string[])[] => [
  ...(addons(settings).length === 0 ? [] : [waitForAddons]),
  ...storageClassArguments(settings),
];

/** Text of a minikube call with the environment's own kubeconfig, for `--dry-run`. */
const text = (environment: Environment, words: readonly string[]): string =>
  `KUBECONFIG=.state/${environment.name}/kubeconfig ${shellWords(['minikube', ...words])}`;

const startCommands = (environment: Environment, settings: Settings): readonly string[] => [
  text(environment, startArguments(environment, settings)),
  `${kubectlText(environment)} ${shellWords(waitForNodes)}`,
];

/** minikube: one profile for each environment of each clone. */
export const minikube: ClusterProvider = {
  name: 'minikube',
  commands: {
    create: (environment, settings) => [
      ...startCommands(environment, settings),
      ...addons(settings).map((addon) => text(environment, addonArguments(environment, addon))),
      ...afterwards(settings).map((words) => `${kubectlText(environment)} ${shellWords(words)}`),
    ],
    start: (environment, settings) => startCommands(environment, settings),
    stop: (environment) => [text(environment, ['stop', '--profile', environment.clusterName])],
    destroy: (environment) => [
      text(environment, ['delete', '--profile', environment.clusterName]),
      `docker network rm --force ${environment.clusterName}`,
    ],
    services: routeCommands,
  },

  check: (_environment, { cluster }, user) => {
    if (user !== 0 || cluster.driver !== 'docker') return;
    throw new UsageError({
      what: 'minikube cannot be run as root',
      why: 'it refuses root with its docker driver',
      advice: 'run as another user in the group docker, or use --provider embedded',
    });
  },

  phase: async (environment, context) => {
    const profile = await profileOf(environment, context);
    if (profile.kind === 'none') return 'absent';
    return (await readProgress(environment)) === 'complete' ? phaseOf(profile) : 'creating';
  },

  faults: async (environment, context) => faultsOf(await profileOf(environment, context)),

  create: async (environment, settings, context) => {
    const profile = await profileOf(environment, context);
    const progress = await readProgress(environment);
    if (profile.kind !== 'none' && (await remembered(environment.name)) === undefined) {
      throw unknownProfile(environment);
    }
    if (progress === 'complete' && profile.kind !== 'none' && !isLost(profile)) {
      if (phaseOf(profile) === 'running') return 'unchanged';
      await startCreated(environment, settings, profile, context);
      return 'changed';
    }
    if (settings.cluster.driver === 'docker') await checkEngine(environment, settings, context);
    // From here on the environment is minikube's, also when the rest fails: destroy-environment has to find it.
    await remember(environment);
    if (progress !== 'started' || profile.kind !== 'nodes' || phaseOf(profile) !== 'running') {
      if (profile.kind !== 'none') {
        context.log(
          progress === 'complete' && isLost(profile)
            ? `the cluster is recreated without its data: ${faultsOf(profile).join(', ')}`
            : 'the cluster is only half created, by a run that was killed: starting over',
        );
        await removeProfile(environment, settings, context);
      }
      await startNodes(environment, settings, context);
      await writeWhole(progressFile(environment), 'started');
    }
    for (const addon of addons(settings)) await runMinikube(context, addonArguments(environment, addon));
    const $ = await shellOf(context);
    for (const words of afterwards(settings)) await $`${kubectl(environment)} ${words}`;
    await writeWhole(progressFile(environment), 'complete');
    return 'changed';
  },

  start: async (environment, settings, context) => {
    const profile = await profileOf(environment, context);
    if (profile.kind === 'none') throw notCreated(environment);
    if ((await readProgress(environment)) !== 'complete') throw halfCreated(environment);
    if (phaseOf(profile) === 'running') return 'unchanged';
    await startCreated(environment, settings, profile, context);
    return 'changed';
  },

  stop: async (environment, context) => {
    const profile = await profileOf(environment, context);
    if (profile.kind === 'none' || phaseOf(profile) === 'stopped') return 'unchanged';
    refuseBroken(environment, profile);
    await runMinikube(context, ['stop', '--profile', environment.clusterName]);
    return 'changed';
  },

  destroy: async (environment, context) => {
    const removed = await removeProfile(environment, await settingsOf(environment), context);
    await rm(environment.kubeconfig, { force: true });
    return removed ? 'changed' : 'unchanged';
  },

  addresses: routeAddresses,
  direct: async () => undefined,
};

const profileOf = async (environment: Environment, context: Minikube): Promise<Profile> =>
  readProfile(environment, context, (await settingsOf(environment)).cluster.driver);

/** Nothing of the cluster's data is left: it can only be recreated. */
const isLost = (profile: Profile): boolean => profile.kind === 'incomplete' && profile.dataLost;

/**
 * How far `create` came: `started` when minikube has started every node, `complete` after the rest. minikube itself says
 * `Running` as soon as the first node is, and does not add the others on a second start.
 */
async function readProgress(environment: Environment): Promise<string | undefined> {
  return readFile(progressFile(environment), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

const progressFile = ({ state }: Environment): string => join(state, 'minikube.progress');

/**
 * Starts what was created before. A worker whose machine is gone is replaced: `minikube start` would make a machine of its name
 * that never joins, and wait for it for six minutes.
 */
async function startCreated(
  environment: Environment,
  settings: Settings,
  profile: Profile,
  context: TaskContext,
): Promise<void> {
  refuseBroken(environment, profile);
  for (const node of profile.kind === 'incomplete' ? profile.missing : []) {
    context.log(`replacing node ${node}: its machine is gone, and the volumes on it are lost`);
    await runMinikube(context, ['node', 'delete', node, '--profile', environment.clusterName]);
  }
  await startNodes(environment, settings, context);
}

/** Starts all nodes. Throws `TaskError` unless each of them runs in the end. */
async function startNodes(environment: Environment, settings: Settings, context: TaskContext): Promise<void> {
  await runMinikube(context, startArguments(environment, settings));
  const { nodes } = settings.cluster;
  let profile = await profileOf(environment, context);
  while (nodeCount(profile) > 0 && nodeCount(profile) < nodes) {
    await runMinikube(context, ['node', 'add', '--worker', '--profile', environment.clusterName]);
    profile = await profileOf(environment, context);
  }
  if (phaseOf(profile) === 'running') {
    const $ = await shellOf(context);
    await $`${kubectl(environment)} ${waitForNodes}`;
    return;
  }
  throw new TaskError({
    what: '`minikube start` ended, but the cluster is not complete',
    why: faultsOf(profile).join(', '),
    advice: `see: minikube logs --profile ${environment.clusterName}; run destroy-environment to start over`,
  });
}

const nodeCount = (profile: Profile): number => (profile.kind === 'nodes' ? profile.nodes.length : 0);

/** Removes the profile with everything that belongs to it. Returns true when there was something. */
async function removeProfile(
  environment: Environment,
  { cluster }: Settings,
  context: TaskContext,
): Promise<boolean> {
  const profile = await readProfile(environment, context, cluster.driver);
  // A start that failed early leaves files that are no profile yet.
  if (profile.kind !== 'none' || (await remembered(environment.name)) !== undefined) {
    await runMinikube(context, ['delete', '--profile', environment.clusterName]);
  }
  const remains = cluster.driver === 'docker' && (await removeRemains(environment, context));
  await rm(progressFile(environment), { force: true });
  return profile.kind !== 'none' || remains;
}

const notCreated = (environment: Environment): TaskError =>
  new TaskError({
    what: `the cluster of environment \`${environment.name}\` is not created`,
    why: `minikube has no profile ${environment.clusterName}`,
    advice: 'run create-environment, or create-k8s for the cluster alone',
  });

const halfCreated = (environment: Environment): TaskError =>
  new TaskError({
    what: `the cluster of environment \`${environment.name}\` is only half created`,
    why: 'the run that created it was interrupted',
    advice: 'run create-environment again',
  });

/** Throws `TaskError` for a profile whose nodes minikube can neither start nor stop: it hangs or fails. */
function refuseBroken(environment: Environment, profile: Profile): void {
  const { clusterName, name } = environment;
  const headless = profile.kind === 'incomplete' && profile.missing.includes(clusterName);
  if (profile.kind !== 'unreadable' && !headless) return;
  const over =
    'destroy-environment removes the cluster with its data, then create-environment makes a new one';
  throw new TaskError({
    what: `minikube cannot work with the cluster of environment \`${name}\``,
    why: faultsOf(profile).join(', '),
    advice: isLost(profile)
      ? 'its data are lost: create-environment recreates the cluster'
      : profile.kind === 'unreadable'
        ? `repair ~/.minikube/profiles/${clusterName}/config.json; or: ${over}`
        : `its data are still in the Docker volume ${clusterName}, copy what you need; ${over}`,
  });
}

const unknownProfile = (environment: Environment): TaskError =>
  new TaskError({
    what: `minikube has a profile ${environment.clusterName} that environment \`${environment.name}\` has no record of`,
    why: `.state/${environment.name} was removed while the cluster was kept; Vault's keys were in it`,
    advice: 'destroy-environment removes the cluster, then create-environment makes a new one',
  });
