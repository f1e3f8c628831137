import { rm } from 'node:fs/promises';
import { TaskError } from '@k8s-deployment/runner';
import { helmCommand } from '../../helm/helm.ts';
import { declaredReleases } from '../../helm/helmfile.ts';
import {
  adoptedAnnotation,
  checkNamespaces,
  existingNamespaces,
  isOurs,
  ownerLabel,
} from '../../helm/namespaces.ts';
import { deployedReleases } from '../../helm/releases.ts';
import { removeController, removeControllerCommands } from '../../ingress/installed.ts';
import { helmText, installedTypes, kubectl, kubectlText, removeTypes } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { loadSettings } from '../../settings/settings.ts';
import { checkReachable, connectCommand, connectExisting, failureOf } from './user-kubeconfig.ts';

/** The operator's types, which helm leaves behind; a basic regular expression, for grep too. */
const ownTypes = /\.secrets\.hashicorp\.com$/;
const operator = 'vault/vault-operator';

/** Labels and annotations that we, the chart devops or helm put on a namespace. */
const chartMarks = /^(?:k8s-deployment|(?:app|pod-security)\.kubernetes\.io|(?:meta\.)?helm\.sh)\//;

/** Seconds for helm to uninstall a release. */
const uninstallSeconds = 120;
/** Seconds for the operator to let its objects go. */
const objectsSeconds = 60;

/**
 * Removes what the tasks installed: the releases in the environment's namespaces, and the namespaces that they
 * created, which helm keeps on purpose. Everything else stays.
 */
export async function removeFromCluster(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  // Without a name, kubectl would use the current context.
  if (environment.context === '') return 'unchanged';
  // A fresh clone knows the environment by its namespaces only.
  await connectExisting(context);
  const removed = await removeOurs(context);
  await rm(environment.kubeconfig, { force: true });
  return removed ? 'changed' : 'unchanged';
}

/** Returns whether there was anything. */
async function removeOurs(context: EnvironmentContext): Promise<boolean> {
  const { $, environment } = context;
  await checkReachable(context).catch((error: unknown) => {
    const { what, why, advice } = failureOf(error);
    const gone = `if the cluster is gone for good, remove what is kept of it here: rm -r .state/${environment.name}`;
    throw new TaskError({ what, why, advice: `${advice}; ${gone}` });
  });
  const namespaces = (await existingNamespaces(context)).filter((one) => isOurs(environment, one));
  const names = namespaces.map(({ metadata }) => metadata.name);
  const deployed = await deployedReleases(context, () => {});
  const declared = await declaredReleases(environment.root);
  // What others need goes last.
  for (const { id, name, namespace } of declared.toReversed()) {
    if (!deployed.has(id) || !names.includes(namespace)) continue;
    // Only a running operator clears the finalizers of its objects.
    if (id === operator) await removeObjects(context, names);
    const wait = ['--wait', '--timeout', `${uninstallSeconds}s`];
    await $`${helmCommand(environment, namespace)} uninstall ${name} --ignore-not-found ${wait}`;
  }
  const adopted = namespaces.filter(({ metadata }) => metadata.annotations?.[adoptedAnnotation] === 'true');
  const kept = adopted.map(({ metadata }) => metadata.name);
  const own = names.filter((name) => !kept.includes(name));
  if (own.length > 0)
    await $`${kubectl(environment)} delete namespace ${own} --ignore-not-found --wait --timeout 300s`.catch(
      async (error: unknown) => {
        // Throws an error that says what they wait for.
        await checkNamespaces(context);
        throw error;
      },
    );
  if (kept.length > 0) {
    const quiet = $({ quiet: true });
    // With helm's marks, the next removal would take it for one that it created.
    const removals = (field: 'labels' | 'annotations', mark: string): readonly string[] => {
      const found = adopted.flatMap(({ metadata }) => Object.keys(metadata[field] ?? {}));
      return [...new Set([mark, ...found.filter((name) => chartMarks.test(name))])].map((name) => `${name}-`);
    };
    await quiet`${kubectl(environment)} label namespace ${kept} ${removals('labels', ownerLabel)}`;
    const annotations = removals('annotations', adoptedAnnotation);
    await quiet`${kubectl(environment)} annotate namespace ${kept} ${annotations}`;
    context.log(`kept, since they existed before: namespaces ${kept.join(', ')}`);
  }
  await removeController(context);
  await removeTypes(context, ownTypes, 'the Vault Secrets Operator');
  return names.length > 0;
}

/**
 * Deletes the operator's objects in these namespaces. Those that it does not let go hold their namespace, which is
 * reported.
 */
async function removeObjects(context: EnvironmentContext, namespaces: readonly string[]): Promise<void> {
  const { environment } = context;
  const types = await installedTypes(context, ownTypes);
  if (types.length === 0) return;
  const $ = context.$({ nothrow: true });
  for (const namespace of namespaces)
    await $`${kubectl(environment)} -n ${namespace} delete ${types.join(',')} --all --timeout ${objectsSeconds}s`;
}

/** The same as plain commands. */
export async function removeCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const target = { environment, settings: await loadSettings(environment) };
  const releases = (await declaredReleases(environment.root)).toReversed();
  const kubectl = kubectlText(environment);
  const ours = `${ownerLabel}=${environment.name}`;
  const types = `${kubectl} get crd -o name | grep '${ownTypes.source}'`;
  const namespaces = [...new Set(releases.map(({ namespace }) => namespace))].join(' ');
  return [
    connectCommand(environment),
    ...releases.flatMap(({ id, name, namespace }) => [
      ...(id === operator
        ? [
            `for namespace in ${namespaces}; do ${types} | cut -d / -f 2 | while read -r kind; do ${kubectl} -n $namespace delete $kind --all --timeout ${objectsSeconds}s; done; done`,
          ]
        : []),
      `${helmText(environment)} --namespace ${namespace} uninstall ${name} --ignore-not-found --wait --timeout ${uninstallSeconds}s`,
    ]),
    `# only those without the annotation ${adoptedAnnotation}:`,
    `${kubectl} delete namespace --selector ${ours} --wait --timeout 300s`,
    ...removeControllerCommands(target),
    `${types} | while read -r type; do ${kubectl} delete --ignore-not-found "$type"; done`,
  ];
}
