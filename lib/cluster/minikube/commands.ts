import { shellWords } from '../../ground/shell-words.ts';
import { kubectlText } from '../../kubernetes/kubectl.ts';
import type { Target } from '../../settings/context.ts';
import type { Environment } from '../../settings/environment.ts';
import type { Settings } from '../../settings/settings.ts';

/** `minikube start` with all that the settings say. Running it again on a stopped cluster starts that one. */
export function startArguments({ environment, settings: { cluster } }: Target): readonly string[] {
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

export const addonArguments = ({ clusterName }: Environment, addon: string): readonly string[] => [
  ...['addons', 'enable', addon, '--profile', clusterName],
];

/** minikube's own ingress controller is ingress-nginx. */
export const addons = ({ cluster, ingress }: Settings): readonly string[] => [
  ...(ingress.controller === 'nginx' ? ['ingress'] : []),
  ...cluster.addons,
];

/** minikube asks each node's kubelet; that the API server sees it takes some seconds more. */
export const waitForNodes: readonly string[] = [
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
export const afterwards = (settings: Settings): readonly (readonly string[])[] => [
  ...(addons(settings).length === 0 ? [] : [waitForAddons]),
  ...storageClassArguments(settings),
];

/** Text of a minikube call with the environment's own kubeconfig, for `--dry-run`. */
export const text = ({ name }: Environment, words: readonly string[]): string =>
  `KUBECONFIG=.state/${name}/kubeconfig ${shellWords(['minikube', ...words])}`;

export const startCommands = (target: Target): readonly string[] => [
  text(target.environment, startArguments(target)),
  `${kubectlText(target.environment)} ${shellWords(waitForNodes)}`,
];
