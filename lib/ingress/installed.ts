import { helmCommand } from '../helm/helm.ts';
import { helmText, kubectl, kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { EnvironmentContext, Target } from '../settings/context.ts';
import { type Environment, readStateFile, writeStateFile } from '../settings/environment.ts';
import { controllerOf } from './controllers.ts';

/** Name of the controller's helm release. */
export const releaseName = 'traefik';

/** The ingress controller that create-k8s installed; only this one is upgraded and removed. */
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

const file = 'ingress.json';

/** The record of the installation; undefined if there is none. Throws `TaskError` if it is unreadable. */
export const readRecord = (
  environment: Pick<Environment, 'name' | 'state'>,
): Promise<ControllerRecord | undefined> =>
  readStateFile<ControllerRecord>(environment, file, {
    what: ', the record of the installed ingress controller, is damaged',
    isWhole: (record) => typeof record?.namespace === 'string' && Array.isArray(record.typesBefore),
    why: 'without it, it is unknown what to upgrade and what to remove',
    advice: `restore it from a copy; or remove the controller by hand (helm uninstall ${releaseName}), then the file`,
  });

export const writeRecord = (
  environment: Pick<Environment, 'state'>,
  record: ControllerRecord,
): Promise<void> => writeStateFile(environment, file, record);

export type Named = { readonly metadata: { readonly name: string } };

/** Removes the controller, its namespace and its types, if create-k8s installed them. */
export async function removeController(context: EnvironmentContext): Promise<void> {
  const { $, environment } = context;
  const record = await readRecord(environment);
  if (record === undefined) return;
  const { namespace } = record;
  await $`${helmCommand(environment, namespace)} uninstall ${releaseName} --ignore-not-found --wait`;
  if (record.ownNamespace) {
    await $`${kubectl(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`;
  }
  const types = await kubectlList<Named>(context, 'get', 'crd');
  const names = types.map(({ metadata }) => metadata.name);
  const own = names.filter((name) => traefikTypes.test(name) && !record.typesBefore.includes(name));
  if (own.length === 0) return;
  // Deleting a type deletes its objects, which may belong to somebody else.
  const used = await $({ quiet: true })`${kubectl(environment)} get ${own.join(',')} -A -o name`;
  if (used.stdout.trim() === '') await $`${kubectl(environment)} delete crd ${own} --ignore-not-found`;
  else context.log('keeping the types of the ingress controller: other namespaces use them');
}

/** The same as plain commands. */
export function removeControllerCommands({ environment, settings }: Target): readonly string[] {
  const controller = controllerOf(settings);
  if (settings.ingress.controller !== 'traefik' || controller === undefined) return [];
  const { namespace } = controller;
  return [
    `# where create-k8s installed the ingress controller (.state/${environment.name}/ingress.json):`,
    `${helmText(environment)} --namespace ${namespace} uninstall ${releaseName} --ignore-not-found --wait`,
    `${kubectlText(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`,
  ];
}
