import { TaskError } from '@k8s-deployment/runner';
import { shellWord, shellWords } from '../../ground/shell-words.ts';
import { kubectl, kubectlList, kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, Environment, EnvironmentContext, Outcome, Target } from '../../settings/context.ts';
import { tellKept } from '../messages.ts';
import { forgetMachines, type Profile, readProfile, recordedSizes } from './profile.ts';
import { runMinikube } from './shell.ts';

/**
 * `minikube start` with the settings. For an existing cluster without the number of nodes, which cannot be changed, and
 * the version: minikube records one that it then fails to download, and refuses the former one as a downgrade.
 */
export function startArguments(target: Target, existing?: 'existing'): readonly string[] {
  const { environment, settings } = target;
  const { cluster } = settings;
  const { driver, nodes, cpus, memoryMB, kubernetesVersion, cni } = cluster;
  const { containerRuntime, baseImage } = cluster;
  return [
    ...['start', '--profile', environment.clusterName, '--driver', driver],
    ...(existing ? [] : ['--nodes', String(nodes)]),
    ...['--cpus', String(cpus), '--memory', `${memoryMB}mb`],
    ...(existing ? [] : ['--kubernetes-version', kubernetesVersion]),
    ...['--cni', cni],
    ...(containerRuntime === '' ? [] : ['--container-runtime', containerRuntime]),
    ...(baseImage === '' ? [] : ['--base-image', baseImage]),
    ...['--wait', 'all', '--interactive=false'],
    ...cluster.startArguments,
  ];
}

/** What enables each addon; minikube's addon `ingress` is ingress-nginx. */
export const addonArguments = ({ environment, settings }: Target): readonly (readonly string[])[] =>
  [...(settings.ingress.controller === 'nginx' ? ['ingress'] : []), ...settings.cluster.addons].map(
    (addon) => ['addons', 'enable', addon, '--profile', environment.clusterName],
  );

/** Waits for nodes: minikube asks each kubelet, but the API server reports the node some seconds later. */
const waitForNodes: readonly string[] = [
  ...['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout', '120s'],
];

/** minikube waits only for some addons; volumes stay Pending until their driver runs. */
const waitForAddons: readonly string[] = [
  ...['--namespace', 'kube-system', 'rollout', 'status'],
  ...['deployments,statefulsets,daemonsets', '--timeout', '360s'],
];

const setDefault = (storageClass: string, isDefault: boolean): readonly string[] => [
  ...['annotate', 'storageclass', storageClass],
  ...[`storageclass.kubernetes.io/is-default-class=${isDefault}`, '--overwrite'],
];

/** kubectl calls after the start. */
export function afterwards(target: Target): readonly (readonly string[])[] {
  const { storageClass } = target.settings.cluster;
  return [
    ...(addonArguments(target).length === 0 ? [] : [waitForAddons]),
    // minikube's default is hostPath, which does not work with several nodes.
    ...(storageClass === '' ? [] : [setDefault('standard', false), setDefault(storageClass, true)]),
  ];
}

/** A plain minikube command with the environment's kubeconfig, for `--dry-run`. */
export const text = ({ kubeconfig }: Environment, words: readonly string[]): string =>
  `KUBECONFIG=${shellWord(kubeconfig)} ${shellWords(['minikube', ...words])}`;

export const startCommands = (target: Target, existing?: 'existing'): readonly string[] => [
  text(target.environment, startArguments(target, existing)),
  `${kubectlText(target.environment)} ${shellWords(waitForNodes)}`,
];

/**
 * Starts an existing cluster unless it runs. Replaces workers whose machine is gone, for which `minikube start` would
 * create one that never joins and wait six minutes. Logs settings that hold for new clusters only.
 */
export async function startCreated(context: Context, profile: Profile): Promise<Outcome> {
  const { environment } = context;
  const outcome = profile.phase === 'running' ? 'unchanged' : 'changed';
  if (outcome === 'changed') {
    await makeUsable(context, profile);
    const { missing = [] } = profile;
    for (const node of missing) {
      context.log(`replacing node ${node}: its machine and volumes are lost, see docs/troubleshooting.md`);
      await runMinikube(context, ['node', 'delete', node, '--profile', environment.clusterName]);
      await forgetMachines(environment, node);
    }
    await startNodes(context, missing.length);
  }
  const sizes = await recordedSizes(environment);
  for (const setting of ['cpus', 'memoryMB'] as const) tellKept(context, setting, sizes[setting]);
  type Node = { readonly status: { readonly nodeInfo: { readonly kubeletVersion: string } } };
  const nodes = await kubectlList<Node>(context, 'get', 'nodes');
  tellKept(context, 'nodes', nodes.length);
  for (const version of new Set(nodes.map(({ status }) => status.nodeInfo.kubeletVersion)))
    tellKept(context, 'kubernetesVersion', version);
  return outcome;
}

/**
 * Starts all nodes; of an existing cluster those that it has, and `added` workers. Throws `TaskError` unless all are
 * running at the end.
 */
export async function startNodes(context: Context, added?: number): Promise<void> {
  const { $, environment, settings } = context;
  const existing = added === undefined ? undefined : 'existing';
  await runMinikube(context, startArguments(context, existing), settings.cluster.nodes);
  for (let count = 0; count < (added ?? 0); count += 1)
    await runMinikube(context, ['node', 'add', '--worker', '--profile', environment.clusterName]);
  const { phase, faults } = await readProfile(context);
  if (phase !== 'running')
    throw new TaskError({
      what: '`minikube start` ended, but the cluster is not complete',
      why: faults.join(', '),
      advice: `see: minikube logs --profile ${environment.clusterName}; then run it again`,
    });
  await $`${kubectl(environment)} ${waitForNodes}`;
}

/**
 * Lets a paused cluster go on: `minikube start` leaves the pods of its workers frozen, and machines with frozen processes
 * neither stop nor can be removed. It waits for ever for a machine that Docker paused.
 */
export async function unpause(context: EnvironmentContext, profile: Profile): Promise<void> {
  const { isPaused, frozen = [] } = profile;
  if (frozen.length > 0) await context.$`docker unpause ${frozen}`;
  if (isPaused) await runMinikube(context, ['unpause', '--profile', context.environment.clusterName]);
}

/** Unpauses. Throws `TaskError` for a profile that minikube cannot use. */
export async function makeUsable(context: EnvironmentContext, profile: Profile): Promise<void> {
  await unpause(context, profile);
  if (profile.repair === undefined) return;
  throw new TaskError({
    what: `minikube cannot use the cluster of environment \`${context.environment.name}\``,
    why: profile.faults.join(', '),
    advice: profile.repair,
  });
}
