import { helmCommand } from '../helm/helm.ts';
import { helmText, kubectl, kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { EnvironmentContext, Target } from '../settings/context.ts';
import { controllerOf } from './controllers.ts';
import { type NamedList, readRecord, releaseName, traefikTypes } from './record.ts';

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
  const { items } = await kubectlList<NamedList>(context, 'get', 'crd');
  const names = items.map(({ metadata }) => metadata.name);
  const own = names.filter((name) => traefikTypes.test(name) && !record.typesBefore.includes(name));
  if (own.length === 0) return;
  // Objects of somebody else would be deleted with their type.
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
