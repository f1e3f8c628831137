import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../cluster/provider.ts';
import { type Environment, exportHomes, helmHomes, shellOf, writeWhole } from '../environment.ts';
import { helmText, kubectl, kubectlJson, kubectlText } from '../kubectl.ts';
import { root } from '../project.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import type { Settings } from '../settings.ts';
import { shellWords } from '../shell-words.ts';
import { controllerOf } from './controllers.ts';

/** Name of the helm release. */
const release = 'traefik';

/** What was installed by us: only that is changed and removed by us. */
type Installed = {
  readonly namespace: string;
  /** Whether the namespace was made for it. */
  readonly ownNamespace: boolean;
  /** Names of the types (CRDs) that were in the cluster before. */
  readonly typesBefore: readonly string[];
  /** Of chart and values; empty until the installation came to its end. */
  readonly digest: string;
};

/** Types that come with Traefik's charts. */
const ownTypes = /\.(?:traefik\.io|gateway\.networking\.k8s\.io)$/;

const recordPath = ({ state }: Pick<Environment, 'state'>): string => join(state, 'ingress.json');

async function readRecord(environment: Environment): Promise<Installed | undefined> {
  const text = await readFile(recordPath(environment), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Installed);
}

const writeRecord = (environment: Environment, record: Installed): Promise<void> =>
  writeWhole(recordPath(environment), `${JSON.stringify(record, null, 2)}\n`);

function upgradeWords({ ingress }: Settings, namespace: string): readonly string[] {
  const { chart, repository, version, values = ingress.values } = ingress.chart;
  return [
    ...['--namespace', namespace, 'upgrade', '--install', release, chart],
    ...(repository ? ['--repo', repository] : []),
    ...(version ? ['--version', version] : []),
    ...['--set-json', JSON.stringify(values), '--wait', '--timeout', '300s'],
  ];
}

/** The namespace's labels: Traefik's pods are as restricted as ours. */
const namespaceManifest = (namespace: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });

/** The plain commands of `ensureController`. */
export function controllerCommands(environment: Environment, settings: Settings): readonly string[] {
  const controller = controllerOf(settings);
  const known = `${kubectlText(environment)} get ingressclass`;
  if (controller === undefined) return [];
  if (settings.ingress.controller !== 'traefik') return [known];
  const { namespace } = controller;
  return [
    known,
    `# unless there is an IngressClass of ${controller.class}:`,
    `echo '${namespaceManifest(namespace)}' | ${kubectlText(environment)} apply --server-side -f -`,
    exportHomes(environment, ...helmHomes),
    `${helmText(environment)} ${shellWords(upgradeWords(settings, namespace))}`,
  ];
}

/**
 * Makes sure of the ingress controller in a cluster with real pods. Traefik is installed where the cluster has no IngressClass of
 * it, and kept up to date where we have installed it; everything else is left alone.
 */
export async function ensureController(
  environment: Environment,
  settings: Settings,
  context: TaskContext,
): Promise<Outcome> {
  const controller = controllerOf(settings);
  if (controller === undefined) return 'unchanged';
  const { namespace } = controller;
  const $ = (await shellOf(context))({ quiet: true });
  const classes = await classesOf(environment, controller.class, context);
  const record = await readRecord(environment);
  if (settings.ingress.controller !== 'traefik' || (classes.length > 0 && record === undefined)) {
    context.log(
      classes.length > 0
        ? `the cluster has an ingress controller, IngressClass ${classes.join(', ')}: left alone`
        : `the cluster has no IngressClass of ${controller.class}: install ${settings.ingress.controller}, or set ingress.controller`,
    );
    return 'unchanged';
  }
  const digest = await digestOf(settings);
  if (record?.digest === digest && classes.length > 0) return 'unchanged';
  const started = record ?? (await firstRecord(environment, namespace, context));
  await writeRecord(environment, { ...started, digest: '' });
  if (started.ownNamespace) {
    await $({
      input: namespaceManifest(started.namespace),
    })`${kubectl(environment)} apply --server-side -f -`;
  }
  await clearPending(environment, started.namespace, context);
  context.log(`installing the ingress controller traefik into namespace ${started.namespace}`);
  const words = [...helmOf(environment), ...upgradeWords(settings, started.namespace)];
  const output = await $({ nothrow: true })`${words}`;
  if (output.exitCode !== 0 && !context.signal.aborted) throw notInstalled(settings, output.stderr);
  await writeRecord(environment, { ...started, digest });
  return 'changed';
}

function notInstalled({ ingress }: Settings, stderr: string): TaskError {
  const { chart, repository } = ingress.chart;
  return new TaskError({
    what: `the ingress controller ${release} could not be installed`,
    why: stderr.trim().split('\n').at(-1) || `helm said nothing about ${chart}`,
    advice: repository
      ? `see that ${repository} can be reached, or set ingress.chart to { chart: ./charts/traefik, repository: "", version: "", values: {} }`
      : 'mend it and run again; ingress.controller: none does without routes',
  });
}

const helmOf = (environment: Environment): readonly string[] => [
  ...['helm', '--kubeconfig', environment.kubeconfig, '--kube-context', environment.context],
];

type Named = { readonly items: readonly { readonly metadata: { readonly name: string } }[] };

/** Names of the IngressClasses of a controller. */
async function classesOf(
  environment: Environment,
  controller: string,
  context: TaskContext,
): Promise<readonly string[]> {
  type Classes = {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec?: { readonly controller?: string };
    }[];
  };
  const { items } = await kubectlJson<Classes>(await shellOf(context), environment, 'get', 'ingressclass');
  return items.filter(({ spec }) => spec?.controller === controller).map(({ metadata }) => metadata.name);
}

async function firstRecord(
  environment: Environment,
  namespace: string,
  context: TaskContext,
): Promise<Installed> {
  const $ = await shellOf(context);
  const types = await kubectlJson<Named>($, environment, 'get', 'crd');
  const there = await kubectlJson<Named>($, environment, 'get', 'namespaces');
  return {
    namespace,
    ownNamespace: there.items.every(({ metadata }) => metadata.name !== namespace),
    typesBefore: types.items.map(({ metadata }) => metadata.name),
    digest: '',
  };
}

/** helm refuses a release that a killed run left in `pending-*`; nobody but us works on this one. */
async function clearPending(
  environment: Environment,
  namespace: string,
  context: TaskContext,
): Promise<void> {
  const $ = (await shellOf(context))({ quiet: true });
  const status = await $({
    nothrow: true,
  })`${helmOf(environment)} --namespace ${namespace} status ${release} --output json`;
  if (!/"status": *"pending-/.test(status.stdout)) return;
  context.log('the ingress controller was left half installed by a run that was killed: removing it first');
  await $`${helmOf(environment)} --namespace ${namespace} uninstall ${release} --wait`;
}

/** A digest of the chart, where it is ours also of its files, and of its values. */
async function digestOf({ ingress }: Settings): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([ingress.chart, ingress.values]));
  const folder = join(root, ingress.chart.chart);
  const local = ingress.chart.repository ? [] : await readdir(folder, { recursive: true }).catch(() => []);
  for (const file of local.sort()) {
    hash.update(`${file}\n`).update(await readFile(join(folder, file)).catch(() => ''));
  }
  return hash.digest('hex');
}

/** Removes the controller, its namespace and its types, as far as they came with our installation. */
export async function removeController(environment: Environment, context: TaskContext): Promise<void> {
  const record = await readRecord(environment);
  if (record === undefined) return;
  const $ = await shellOf(context);
  const { namespace } = record;
  await $`${helmOf(environment)} --namespace ${namespace} uninstall ${release} --ignore-not-found --wait`;
  if (record.ownNamespace) {
    await $`${kubectl(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`;
  }
  const { items } = await kubectlJson<Named>($, environment, 'get', 'crd');
  const names = items.map(({ metadata }) => metadata.name);
  const own = names.filter((name) => ownTypes.test(name) && !record.typesBefore.includes(name));
  if (own.length === 0) return;
  // Objects of these types are somebody else's by now, and would be deleted with their type.
  const used = await $({ quiet: true })`${kubectl(environment)} get ${own.join(',')} -A -o name`;
  if (used.stdout.trim() === '') await $`${kubectl(environment)} delete crd ${own} --ignore-not-found`;
  else context.log('the types of the ingress controller stay: other namespaces use them');
}

/** The same as plain commands. */
export function removeControllerCommands(environment: Environment, settings: Settings): readonly string[] {
  const controller = controllerOf(settings);
  if (settings.ingress.controller !== 'traefik' || controller === undefined) return [];
  const { namespace } = controller;
  return [
    `# where create-k8s installed the ingress controller (.state/${environment.name}/ingress.json):`,
    `${helmText(environment)} --namespace ${namespace} uninstall ${release} --ignore-not-found --wait`,
    `${kubectlText(environment)} delete namespace ${namespace} --ignore-not-found --wait --timeout 300s`,
  ];
}
