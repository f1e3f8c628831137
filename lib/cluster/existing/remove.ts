import { rm } from 'node:fs/promises';
import { TaskError } from '@k8s-deployment/runner';
import type { Outcome } from '../../ground/outcome.ts';
import { callHelmfile, declaredReleases, helmfileText } from '../../helm/helmfile.ts';
import { prepareNamespaces } from '../../helm/namespaces.ts';
import { removeController, removeControllerCommands } from '../../ingress/installed.ts';
import { kubectl, kubectlText } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext, InEnvironment } from '../../settings/context.ts';
import { type Environment, exportHomes, helmHomes, remembered } from '../../settings/environment.ts';
import { loadSettings } from '../../settings/settings.ts';
import { checkReachable, connectCommand, connectExisting } from './user-kubeconfig.ts';

const ourNamespaces = async ({ root }: Environment): Promise<string[]> => [
  ...new Set((await declaredReleases(root)).map(({ namespace }) => namespace)),
];

/** The operator's types, which helm leaves behind; a basic regular expression, for grep too. */
const ownTypes = /\.secrets\.hashicorp\.com$/;

/** Removes what the tasks installed, with the namespaces, which helm keeps on purpose; the cluster stays. */
export async function removeFromCluster(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  // An unreadable record means that an environment exists.
  if (await remembered(environment).catch(() => true)) await removeOurs(context);
  await rm(environment.kubeconfig, { force: true });
  return 'unchanged';
}

async function removeOurs(context: EnvironmentContext): Promise<void> {
  const { $, environment } = context;
  await connectExisting(context);
  await checkReachable(context).catch((error: unknown) => {
    if (!(error instanceof TaskError)) throw error;
    const { name } = environment;
    const advice = `${error.advice}; if the cluster is gone for good, remove what is kept of it here: rm -r .state/${name}`;
    throw new TaskError({ what: error.what, why: error.why, advice });
  });
  const settings = await loadSettings(environment);
  await callHelmfile({ ...context, settings }, ['--skip-deps', 'destroy'], (error) => error, false);
  const namespaces = await ourNamespaces(environment);
  await $`${kubectl(environment)} delete namespace ${namespaces} --ignore-not-found --wait --timeout 300s`.catch(
    async (error: unknown) => {
      // Throws an error that says what they wait for.
      await prepareNamespaces(context, []);
      throw error;
    },
  );
  await removeController(context);
  const types = await $({ quiet: true })`${kubectl(environment)} get crd -o name`;
  const own = types.stdout.split('\n').filter((name) => ownTypes.test(name));
  if (own.length === 0) return;
  // Objects of these types in other namespaces belong to others, and would be deleted with their type.
  const kinds = own.map((name) => name.slice(name.indexOf('/') + 1)).join(',');
  const used = await $({ quiet: true })`${kubectl(environment)} get ${kinds} -A -o name`;
  if (used.stdout.trim() === '') await $`${kubectl(environment)} delete ${own} --ignore-not-found`;
  else context.log('the types of the Vault Secrets Operator stay: other namespaces use them');
}

/** The same as plain commands. */
export async function removeCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const target = { environment, settings: await loadSettings(environment) };
  const namespaces = (await ourNamespaces(environment)).join(' ');
  const kubectl = kubectlText(environment);
  return [
    connectCommand(environment),
    exportHomes(environment, ...helmHomes),
    await helmfileText(target, 'destroy'),
    `${kubectl} delete namespace ${namespaces} --ignore-not-found --wait --timeout 300s`,
    ...removeControllerCommands(target),
    `${kubectl} get crd -o name | grep '${ownTypes.source}' | while read -r type; do ${kubectl} delete --ignore-not-found "$type"; done`,
  ];
}
