import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TaskError } from '@k8s-deployment/runner';
import { namesEnding } from '../../ground/file-names.ts';
import { textIfThere } from '../../ground/if-there.ts';
import { controllerOf } from '../../ingress/controllers.ts';
import type { Context, Environment, Settings, Target } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { tellKept } from '../messages.ts';
import type { Api } from './api.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/* The manifests that the API server is given: nodes, and what it needs to accept routes. */

/** API paths of the kinds in the cluster's manifests. */
const collections: { readonly [kind: string]: (namespace: string) => string } = {
  Namespace: () => '/api/v1/namespaces',
  Node: () => '/api/v1/nodes',
  ServiceAccount: (namespace) => `/api/v1/namespaces/${namespace}/serviceaccounts`,
  ClusterRoleBinding: () => '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  IngressClass: () => '/apis/networking.k8s.io/v1/ingressclasses',
  CustomResourceDefinition: () => '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
};

/** Milliseconds for a new API server to create its namespaces, which it does after it is ready. */
const namespaceMs = 10_000;

/**
 * Applies manifests like `kubectl apply --server-side --force-conflicts` with strict field validation, ten times as
 * fast: without discovery and parsing (0.3 s for the operator's types). Throws `TaskError` if the server refuses one.
 */
export async function applyManifests(api: Api, text: string): Promise<void> {
  const documents = text.split(/^---$/m).filter((document) => /^kind:/m.test(document));
  await Promise.all(documents.map((document) => applyManifest(api, document)));
}

async function applyManifest(api: Api, document: string): Promise<void> {
  // With an indent of two, the first `name` and `namespace` belong to `metadata`.
  const read = (pattern: RegExp): string => pattern.exec(document)?.[1] ?? '';
  const kind = read(/^kind: (\S+)$/m);
  const name = read(/^ {2}name: (\S+)$/m);
  const collection = collections[kind]?.(read(/^ {2}namespace: (\S+)$/m));
  if (collection === undefined || name === '') throw new Error(`cannot apply ${kind} \`${name}\``);
  const path = `${collection}/${name}?fieldManager=kubectl&force=true&fieldValidation=Strict`;
  const deadline = Date.now() + namespaceMs;
  for (;;) {
    const options = { contentType: 'application/apply-patch+yaml' };
    const { status, body } = await api.call('PATCH', path, document, options);
    if (status < 300) return;
    if (status !== 404 || Date.now() > deadline) {
      throw new TaskError({
        what: `the API server refuses ${kind} \`${name}\``,
        why: (body as { message?: string }).message ?? `HTTP ${status}`,
        advice: 'run it again; see the log of kube-apiserver',
      });
    }
    await delay(50);
  }
}

/** A node's values for `node.yaml`. */
export const nodeValues = (
  { environment, settings: { cluster } }: Target,
  number: string,
): TemplateValues => ({
  name: `${environment.name}-${number}`,
  cpus: cluster.cpus,
  memoryMB: cluster.memoryMB,
  kubernetesVersion: cluster.kubernetesVersion,
});

const manifestsOf = (state: string): string => join(state, 'nodes.yaml');

/** The number of nodes with which the cluster was created; 0 before. */
const createdNodes = async ({ state }: Environment): Promise<number> =>
  (await textIfThere(manifestsOf(state)))?.match(/^ {2}name: /gm)?.length ?? 0;

/**
 * The simulated nodes: during `creating`, the number in the settings; later, those with which the cluster was created,
 * and logs that it keeps them.
 */
export async function nodeManifests(context: Context, phase: 'creating' | 'created'): Promise<string> {
  const { environment, settings } = context;
  const count = (phase === 'created' && (await createdNodes(environment))) || settings.cluster.nodes;
  tellKept(context, 'nodes', count);
  const numbers = Array.from({ length: count }, (_, index) => String(index + 1));
  const nodes = await Promise.all(
    numbers.map((number) => fillTemplate('node.yaml', nodeValues(context, number))),
  );
  const text = nodes.join('---\n');
  await writeWhole(manifestsOf(environment.state), text);
  return text;
}

/** Traefik's types; on other clusters its upstream chart has them. */
const types = 'charts/traefik/crds';

function valuesOf(settings: Settings): TemplateValues | undefined {
  const controller = controllerOf(settings);
  return controller && { name: settings.ingress.controller, controller: controller.class };
}

/**
 * What the API server needs to accept routes: the ingress controller's class and Traefik's types. The controller itself
 * would be a simulated pod.
 */
export async function ingressManifests({ environment, settings }: Target): Promise<readonly string[]> {
  const values = valuesOf(settings);
  if (values === undefined) return [];
  const folder = join(environment.root, types);
  const files =
    settings.ingress.controller === 'traefik' ? namesEnding(types, await readdir(folder), '.yaml') : [];
  return Promise.all([
    fillTemplate('ingress-class.yaml', values),
    ...files.map((file) => readFile(join(folder, file), 'utf8')),
  ]);
}

/** The same for `--dry-run`: commands that write files, and these files for `kubectl apply`. */
export function ingressCommands(
  settings: Settings,
  state: string,
): { readonly commands: readonly string[]; readonly files: readonly string[] } {
  const values = valuesOf(settings);
  if (values === undefined) return { commands: [], files: [] };
  const file = `${state}/ingress-class.yaml`;
  return {
    commands: [`${fillCommand('ingress-class.yaml', values)} > ${file}`],
    files: [file, ...(settings.ingress.controller === 'traefik' ? [types] : [])],
  };
}
