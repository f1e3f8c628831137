import { type Condition, itemsOf, kubectl } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { reasonOf, toolFailure } from '../tools/tool-answer.ts';
import type { ManagedFields } from './managed-fields.ts';
import type { DeployedRelease } from './releases.ts';

export type ManifestObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: { readonly [name: string]: string };
    readonly labels?: { readonly [name: string]: string };
  };
  readonly spec?: { readonly replicas?: number; readonly [key: string]: unknown };
};

/** An object as helm applies it. */
export type AppliedObject = ManifestObject & { readonly metadata: { readonly namespace: string } };

type Owner = { readonly name: string; readonly namespace: string };

/**
 * Types of a manifest's objects in kubectl's form, with their API group. Reads only the lines that name types, so
 * kubectl can run while the rest is parsed.
 */
export const typesOf = (manifest: string): string[] =>
  manifest.split(/^---.*$/m).flatMap((text) => {
    const kind = /^kind: *["']?(\w+)/m.exec(text)?.[1];
    const group = /^apiVersion: *["']?([\w.-]+)\//m.exec(text)?.[1];
    return kind === undefined ? [] : [group === undefined ? kind : `${kind}.${group}`];
  });

/**
 * Objects of a release's manifest as helm applies them: with its labels, annotations and namespace, which the API
 * server ignores for cluster-scoped ones. Skips documents that cannot be parsed or are not objects.
 */
export async function manifestObjects(manifest: string, release: Owner): Promise<AppliedObject[]> {
  const { parseAllDocuments } = await import('yaml');
  // The API server refuses duplicate keys; checking for them here is slow.
  return [...parseAllDocuments(manifest, { uniqueKeys: false })].flatMap((document) => {
    const object = document.errors.length === 0 ? (document.toJS() as ManifestObject | null) : null;
    if (!object?.apiVersion || !object.kind || !object.metadata?.name) return [];
    const { namespace, annotations, labels } = object.metadata;
    const metadata = {
      ...object.metadata,
      namespace: namespace || release.namespace,
      annotations: {
        ...annotations,
        'meta.helm.sh/release-name': release.name,
        'meta.helm.sh/release-namespace': release.namespace,
      },
      labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' },
    };
    return [{ ...object, metadata }];
  });
}

/** An object in the cluster. */
export type LiveObject = ManifestObject & {
  readonly metadata: {
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly managedFields?: readonly ManagedFields[];
  };
  readonly status?: { readonly readyReplicas?: number; readonly conditions?: readonly Condition[] };
};

/** A release's object, with its state in the cluster if it exists. */
export type Pair = {
  readonly release: DeployedRelease;
  readonly object: AppliedObject;
  readonly live: LiveObject | undefined;
};

/**
 * The releases' objects, read by kubectl: one call for those with helm's label, with the owners of their fields,
 * another for those that lost it. Passes the reason to `tell` and leaves out types that the user may not list. Throws
 * `TaskError` if the cluster does not answer.
 */
export async function livePairs(
  context: ShellContext,
  releases: readonly DeployedRelease[],
  tell: (line: string) => void,
): Promise<readonly Pair[]> {
  const types = [...new Set(releases.flatMap(({ manifest }) => typesOf(manifest)))];
  const [{ items, complete }, objects] = await Promise.all([
    labelledObjects(context, types, tell),
    Promise.all(releases.map((release) => manifestObjects(release.manifest, release))),
  ]);
  const wanted = releases.flatMap((release, index) =>
    (objects[index] ?? []).map((object) => ({ release, object })),
  );
  const pairs = withLive(wanted, items);
  const missing = pairs.filter(({ live }) => live === undefined);
  if (missing.length === 0) return pairs;
  // Objects that may not be listed are not missing.
  if (!complete) return pairs.filter(({ live }) => live !== undefined);
  return withLive(wanted, [...items, ...(await namedObjects(context, missing))]);
}

/** Without the API version, which may differ on the server. */
const key = ({ apiVersion, kind, metadata }: ManifestObject, namespace = ''): string =>
  [apiVersion.includes('/') ? apiVersion.split('/')[0] : '', kind, namespace, metadata.name].join('|');

/** Cluster-scoped objects have no namespace, even if their manifest does. */
function withLive(wanted: readonly Omit<Pair, 'live'>[], items: readonly LiveObject[]): readonly Pair[] {
  const live = new Map(items.map((item) => [key(item, item.metadata.namespace), item]));
  return wanted.map(({ release, object }) => ({
    release,
    object,
    live: live.get(key(object, object.metadata.namespace)) ?? live.get(key(object)),
  }));
}

type Found = { readonly items: readonly LiveObject[]; readonly complete: boolean };

/**
 * Objects of these types with helm's label; not `complete` if the user may not list some types. Unknown types have no
 * objects.
 */
async function labelledObjects(
  context: ShellContext,
  types: readonly string[],
  tell: (line: string) => void,
): Promise<Found> {
  if (types.length === 0) return { items: [], complete: true };
  const words = ['-A', '-l', 'app.kubernetes.io/managed-by=Helm', '--show-managed-fields', '-o', 'json'];
  const shell = context.$({ quiet: true, nothrow: true });
  const output = await shell`${kubectl(context.environment)} get ${types.join(',')} ${words}`;
  const complete = output.exitCode === 0;
  if (!complete) {
    const unknown = /doesn't have a resource type "([^"]+)"/.exec(output.stderr)?.[1];
    const rest = types.filter((type) => type.split('.')[0] !== unknown?.split('.')[0]);
    if (rest.length < types.length) return labelledObjects(context, rest, tell);
    if (!/\(Forbidden\)/.test(output.stderr)) throw toolFailure('kubectl get', output);
    tell(`cannot check for manual changes: ${reasonOf(output)}`);
    // kubectl omits a forbidden type; if it is the only one, it prints nothing.
    if (output.stdout === '') return { items: [], complete };
  }
  return { items: itemsOf('kubectl get', output), complete };
}

/** Objects with these names, with any labels. */
async function namedObjects(
  { $, environment }: ShellContext,
  pairs: readonly Pair[],
): Promise<readonly LiveObject[]> {
  const items = pairs.map(({ object: { apiVersion, kind, metadata } }) => ({
    ...{ apiVersion, kind },
    metadata: { name: metadata.name, namespace: metadata.namespace },
  }));
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const words = ['-f', '-', '--ignore-not-found', '--show-managed-fields', '-o', 'json'];
  const output = await $({ quiet: true, nothrow: true, input })`${kubectl(environment)} get ${words}`;
  // Unknown types have no objects.
  if (output.exitCode !== 0 && !/no matches for kind/.test(output.stderr))
    throw toolFailure('kubectl get', output);
  if (output.stdout.trim() === '') return [];
  return itemsOf('kubectl get', output);
}
