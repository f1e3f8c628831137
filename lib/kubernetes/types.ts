import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { kubectl, kubectlList, type Named } from './kubectl.ts';

/** The names of the cluster's CustomResourceDefinitions that match. Throws `TaskError` if kubectl fails. */
export async function installedTypes(context: ShellContext, pattern: RegExp): Promise<readonly string[]> {
  const types = await kubectlList<Named>(context, 'get', 'crd');
  return types.map(({ metadata }) => metadata.name).filter((name) => pattern.test(name));
}

/**
 * Deletes the types of `owner` that match, with their objects in `namespace`. Objects in other namespaces may belong to
 * others, and would be deleted with their type: then all stay.
 */
export async function removeTypes(
  context: EnvironmentContext,
  pattern: RegExp,
  owner: string,
  { before = [], namespace }: { readonly before?: readonly string[]; readonly namespace?: string } = {},
): Promise<void> {
  const { $, environment } = context;
  const own = (await installedTypes(context, pattern)).filter((name) => !before.includes(name));
  if (own.length === 0) return;
  const objects = await kubectlList<Named>(context, 'get', own.join(','), '--all-namespaces');
  const isUsed = objects.some(({ metadata }) => namespace === undefined || metadata.namespace !== namespace);
  if (isUsed) context.log(`the types of ${owner} stay: other namespaces use them`);
  else await $`${kubectl(environment)} delete crd ${own} --ignore-not-found`;
}
