import { shellWords } from '../../ground/shell-words.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { Environment, Settings, Target } from '../../settings/context.ts';

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

export const addonArguments = ({ clusterName }: Environment, addon: string): readonly string[] => [
  ...['addons', 'enable', addon, '--profile', clusterName],
];

/** minikube's addon `ingress` is ingress-nginx. */
export const addons = ({ cluster, ingress }: Settings): readonly string[] => [
  ...(ingress.controller === 'nginx' ? ['ingress'] : []),
  ...cluster.addons,
];

/** Waits for nodes: minikube asks each kubelet, but the API server reports the node some seconds later. */
export const waitForNodes: readonly string[] = [
  ...['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout', '120s'],
];

/** minikube waits only for some addons; volumes stay Pending until their driver runs. */
const waitForAddons: readonly string[] = [
  ...['--namespace', 'kube-system', 'rollout', 'status'],
  ...['deployments,statefulsets,daemonsets', '--timeout', '360s'],
];

/** Makes another class the default, since minikube's hostPath does not work with several nodes. */
const storageClassArguments = ({ cluster }: Settings): readonly (readonly string[])[] =>
  cluster.storageClass === '' ? [] : [setDefault('standard', false), setDefault(cluster.storageClass, true)];

const setDefault = (storageClass: string, isDefault: boolean): readonly string[] => [
  ...['annotate', 'storageclass', storageClass],
  ...[`storageclass.kubernetes.io/is-default-class=${isDefault}`, '--overwrite'],
];

/** kubectl calls after the start. */
export const afterwards = (settings: Settings): readonly (readonly string[])[] => [
  ...(addons(settings).length === 0 ? [] : [waitForAddons]),
  ...storageClassArguments(settings),
];

/** A plain minikube command with the environment's kubeconfig, for `--dry-run`. */
export const text = ({ name }: Environment, words: readonly string[]): string =>
  `KUBECONFIG=.state/${name}/kubeconfig ${shellWords(['minikube', ...words])}`;

export const startCommands = (target: Target, existing?: 'existing'): readonly string[] => [
  text(target.environment, startArguments(target, existing)),
  `${kubectlText(target.environment)} ${shellWords(waitForNodes)}`,
];
