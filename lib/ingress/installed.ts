import { TaskError } from '@k8s-deployment/runner';
import { helmCommand } from '../helm/helm.ts';
import { ownerLabel } from '../helm/namespaces.ts';
import {
  applyObjects,
  helmText,
  kubectl,
  kubectlList,
  kubectlText,
  labelSelector,
  removeTypes,
  type WithData,
} from '../kubernetes/kubectl.ts';
import type { Environment, EnvironmentContext, ShellContext, Target } from '../settings/context.ts';
import { controllerOf } from './controllers.ts';

/** Name of the controller's helm release. */
export const releaseName = 'traefik';

/**
 * The ingress controller that create-k8s installed; only this one is upgraded and removed. Kept in the cluster, so that
 * every machine knows it.
 */
export type ControllerRecord = {
  readonly namespace: string;
  /** True if the namespace was created for the controller. */
  readonly ownNamespace: boolean;
  /** Types (CRDs) that existed before the installation. */
  readonly typesBefore: readonly string[];
  /** Digest of chart and values; empty until the installation is complete. */
  readonly digest: string;
};

/** Types that Traefik's charts install. */
const traefikTypes = /\.(?:traefik\.io|gateway\.networking\.k8s\.io)$/;

/** ConfigMap with the record, in the controller's namespace. */
const recordName = 'k8s-deployment-ingress';

const labelsOf = ({ name }: Pick<Environment, 'name'>) => ({
  [ownerLabel]: name,
  'app.kubernetes.io/component': 'ingress-controller',
});

/** The record of the installation; undefined if there is none. Throws `TaskError` if it is unreadable. */
export async function readRecord(context: ShellContext): Promise<ControllerRecord | undefined> {
  const { environment } = context;
  const selector = labelSelector(labelsOf(environment));
  const words = ['get', 'configmaps', '--all-namespaces', '--selector', selector];
  const [found] = await kubectlList<WithData>(context, ...words);
  if (found === undefined) return undefined;
  const { namespace } = found.metadata;
  const { ownNamespace, typesBefore, digest = '' } = found.data ?? {};
  if (typesBefore !== undefined)
    return { namespace, ownNamespace: ownNamespace === 'true', typesBefore: typesBefore.split(' '), digest };
  throw new TaskError({
    what: `the ConfigMap ${recordName} of the namespace ${namespace} is damaged`,
    why: 'without it, it is unknown what of the ingress controller to upgrade and what to remove',
    advice: `remove the controller by hand (helm uninstall ${releaseName}), then the ConfigMap`,
  });
}

/** Throws `TaskError` if create-k8s installed the controller into another namespace than the settings name now. */
export function checkPlace({ environment, settings }: Target, record: ControllerRecord | undefined): void {
  const namespace = controllerOf(settings)?.namespace;
  if (record === undefined || settings.ingress.controller !== 'traefik' || record.namespace === namespace)
    return;
  const { namespace: old, ownNamespace } = record;
  const rest = ownNamespace ? `delete namespace ${old}` : `-n ${old} delete configmap ${recordName}`;
  throw new TaskError({
    what: `the ingress controller is to be in the namespace ${namespace}, but create-k8s installed it into ${old}`,
    why: 'network policies would let only pods of the new namespace call the fronts',
    advice: `set ingress.namespace: ${old}; or to move it, remove it first, which stops the routes: ${helmText(environment)} --namespace ${old} uninstall ${releaseName} --wait && ${kubectlText(environment)} ${rest}`,
  });
}

/** Traefik's pods meet the restricted Pod Security Standard. */
export const namespaceManifest = ({ name }: Pick<Environment, 'name'>, namespace: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: namespace,
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted', [ownerLabel]: name },
  },
});

/** Writes the record, and the namespace if it is the controller's own. */
export async function writeRecord(context: ShellContext, record: ControllerRecord): Promise<void> {
  const { environment } = context;
  const { namespace, ownNamespace, typesBefore, digest } = record;
  const items = [
    ...(ownNamespace ? [namespaceManifest(environment, namespace)] : []),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: recordName, namespace, labels: labelsOf(environment) },
      data: { ownNamespace: String(ownNamespace), typesBefore: typesBefore.join(' '), digest },
    },
  ];
  await applyObjects(context, items, '--force-conflicts');
}

/** Removes the controller, its namespace and its types, if create-k8s installed them. */
export async function removeController(context: EnvironmentContext): Promise<void> {
  const { $, environment } = context;
  const record = await readRecord(context);
  if (record === undefined) return;
  const { namespace, ownNamespace, typesBefore } = record;
  await $`${helmCommand(environment, namespace)} uninstall ${releaseName} --ignore-not-found --wait`;
  const own = ownNamespace ? namespace : undefined;
  await removeTypes(context, traefikTypes, 'the ingress controller', typesBefore, own);
  // The record goes last, so that an interrupted run can be repeated.
  if (ownNamespace)
    await $`${kubectl(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`;
  else await $`${kubectl(environment)} -n ${namespace} delete configmap ${recordName} --ignore-not-found`;
}

/** The same as plain commands. */
export function removeControllerCommands({ environment, settings }: Target): readonly string[] {
  const controller = controllerOf(settings);
  if (settings.ingress.controller !== 'traefik' || controller === undefined) return [];
  const { namespace } = controller;
  return [
    `# where create-k8s installed the ingress controller (ConfigMap ${recordName}):`,
    `${helmText(environment)} --namespace ${namespace} uninstall ${releaseName} --ignore-not-found --wait`,
    `${kubectlText(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`,
  ];
}
