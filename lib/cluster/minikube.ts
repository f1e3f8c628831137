import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, remember, shellOf, writeWhole } from '../environment.ts';
import { kubectl, kubectlText } from '../kubectl.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import type { Settings } from '../settings.ts';
import { ingressAddresses } from './existing.ts';
import type { ClusterPhase, ClusterProvider } from './provider.ts';

/** `minikube start` with all that the settings say. Running it again on a stopped cluster starts that one. */
export function startArguments(environment: Environment, settings: Settings): readonly string[] {
  const { driver = 'docker', nodes, cpus, memoryMB, kubernetesVersion, cni } = settings.cluster;
  return [
    ...['start', '--profile', environment.clusterName, '--driver', driver],
    ...['--nodes', String(nodes), '--cpus', String(cpus), '--memory', `${memoryMB}mb`],
    ...['--kubernetes-version', kubernetesVersion, '--cni', cni],
    ...['--wait', 'all', '--interactive=false'],
  ];
}

const addonArguments = (environment: Environment, addon: string): readonly string[] => [
  ...['addons', 'enable', addon, '--profile', environment.clusterName],
];

/** minikube's hostPath class is broken with several nodes, so the CSI driver's becomes the default one. */
const storageClasses = (settings: Settings): readonly (readonly [name: string, isDefault: boolean])[] =>
  settings.cluster.storageClass === ''
    ? []
    : [
        ['standard', false],
        [settings.cluster.storageClass, true],
      ];

const defaultAnnotation = (isDefault: boolean): string =>
  `storageclass.kubernetes.io/is-default-class=${isDefault}`;

/** minikube's own ingress controller is ingress-nginx. */
const addons = ({ cluster, ingress }: Settings): readonly string[] => [
  ...(ingress.controller === 'nginx' ? ['ingress'] : []),
  ...(cluster.addons ?? []),
];

/** Text of a minikube call with the environment's own kubeconfig, for `--dry-run`. */
const text = (environment: Environment, args: readonly string[]): string =>
  `KUBECONFIG=.state/${environment.name}/kubeconfig minikube ${args.join(' ')}`;

type Profiles = { readonly valid?: readonly Profile[]; readonly invalid?: readonly Profile[] };
type Profile = { readonly Name: string; readonly Status?: string };

/** minikube with the docker driver: one profile for each environment of each clone. */
export const minikube: ClusterProvider = {
  name: 'minikube',
  commands: {
    create: (environment, settings) => [
      text(environment, startArguments(environment, settings)),
      ...addons(settings).map((addon) => text(environment, addonArguments(environment, addon))),
      ...storageClasses(settings).map(
        ([name, isDefault]) =>
          `${kubectlText(environment)} annotate storageclass ${name} ${defaultAnnotation(isDefault)} --overwrite`,
      ),
    ],
    start: (environment, settings) => [text(environment, startArguments(environment, settings))],
    stop: (environment) => [text(environment, ['stop', '--profile', environment.clusterName])],
    destroy: (environment) => [text(environment, ['delete', '--profile', environment.clusterName])],
    services: (environment) => [text(environment, ['service', 'list', '--profile', environment.clusterName])],
  },

  phase: async (environment, context) => {
    const profile = await findProfile(environment, context);
    if (profile === undefined) return 'absent';
    const phase = phaseOf(profile);
    return phase === 'running' && !(await isComplete(environment)) ? 'creating' : phase;
  },

  create: async (environment, settings, context) => {
    const profile = await findProfile(environment, context);
    if (profile !== undefined && phaseOf(profile) === 'running' && (await isComplete(environment))) {
      return 'unchanged';
    }
    // From here on the environment is minikube's, also when the rest fails: destroy-environment has to find it.
    await remember(environment);
    const $ = await shellOf(context);
    await $`minikube ${startArguments(environment, settings)}`;
    for (const addon of addons(settings)) await $`minikube ${addonArguments(environment, addon)}`;
    for (const [name, isDefault] of storageClasses(settings)) {
      await $`${kubectl(environment)} annotate storageclass ${name} ${defaultAnnotation(isDefault)} --overwrite`;
    }
    await writeWhole(completeMark(environment), '');
    return 'changed';
  },

  start: async (environment, settings, context) => {
    const profile = await findProfile(environment, context);
    if (profile === undefined) throw notCreated(environment);
    if (phaseOf(profile) === 'running') return 'unchanged';
    const $ = await shellOf(context);
    await $`minikube ${startArguments(environment, settings)}`;
    return 'changed';
  },

  stop: async (environment, context) => {
    const profile = await findProfile(environment, context);
    if (profile === undefined || phaseOf(profile) === 'stopped') return 'unchanged';
    const $ = await shellOf(context);
    await $`minikube stop --profile ${environment.clusterName}`;
    return 'changed';
  },

  destroy: async (environment, context) => {
    const profile = await findProfile(environment, context);
    if (profile !== undefined) {
      const $ = await shellOf(context);
      await $`minikube delete --profile ${environment.clusterName}`;
    }
    for (const file of [environment.kubeconfig, completeMark(environment)]) await rm(file, { force: true });
    return profile === undefined ? 'unchanged' : 'changed';
  },

  addresses: ingressAddresses,
  direct: async () => undefined,
};

/** minikube says `Running` also when a run was killed before the addons: only this file says that nothing is left to do. */
const completeMark = ({ state }: Environment): string => join(state, 'minikube.complete');

const isComplete = (environment: Environment): Promise<boolean> =>
  access(completeMark(environment)).then(
    () => true,
    () => false,
  );

/** The profile by its exact name: a search in the printed list would also find others that begin with it. */
async function findProfile(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<Profile | undefined> {
  const $ = (await shellOf(context))({ quiet: true, nothrow: true });
  // Exits 0 or not, and also prints profiles that it calls invalid (half made): what counts is its stdout.
  const output = await $`minikube profile list -o json`;
  if (!output.stdout.trimStart().startsWith('{')) return undefined;
  const { valid = [], invalid = [] } = JSON.parse(output.stdout) as Profiles;
  return [...valid, ...invalid.map((profile) => ({ ...profile, Status: 'Invalid' }))].find(
    ({ Name }) => Name === environment.clusterName,
  );
}

function phaseOf(profile: Profile): ClusterPhase {
  switch (profile.Status) {
    case 'Running':
    case 'OK':
      return 'running';
    case 'Stopped':
      return 'stopped';
    case 'Starting':
    case 'Invalid':
      return 'creating';
    default:
      return 'degraded';
  }
}

const notCreated = (environment: Environment): TaskError =>
  new TaskError({
    what: `the cluster of environment \`${environment.name}\` is not created`,
    why: `minikube has no profile ${environment.clusterName}`,
    advice: 'run create-environment, or create-k8s for the cluster alone',
  });
