import type { DocumentOptions, ParseOptions, SchemaOptions } from 'yaml';
import { taskCommand } from '../ground/launcher.ts';
import {
  type InNamespace,
  itemsOf,
  kubectl,
  listOf,
  type Named,
  type Texts,
  type WithConditions,
} from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { reasonOf, toolFailure } from '../tools/tool-answer.ts';
import type { DeployedRelease } from './releases.ts';

export type ManifestObject = Named & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec?: { readonly replicas?: number; readonly [key: string]: unknown };
};

export type SecretObject = ManifestObject & {
  readonly data?: Texts;
  readonly stringData?: Texts;
  readonly type?: string;
};

/** An object as helm applies it. */
export type AppliedObject = ManifestObject & InNamespace;

/** Options that make `yaml` read like helm's go-yaml: YAML 1.1, in which `0440` is octal, but no times and dates. */
export const asHelm: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  customTags: (tags) =>
    tags.filter(
      (tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp')),
    ),
};

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
export async function manifestObjects(
  manifest: string,
  release: Pick<DeployedRelease, 'name' | 'namespace'>,
): Promise<AppliedObject[]> {
  const { parseAllDocuments } = await import('yaml');
  // The API server refuses duplicate keys; checking for them here is slow.
  return [...parseAllDocuments(manifest, { ...asHelm, uniqueKeys: false })].flatMap((document) => {
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

/**
 * Fields as in `metadata.managedFields`: `f:name` is a key of a map, `k:{"name":"x"}` the element of a list with that
 * key, `v:"x"` a scalar of a set. A field with nothing below is owned as a whole (Kubernetes: "Server-Side Apply",
 * FieldsV1).
 */
export type Fields = { readonly [step: string]: Fields };

/** One entry of `metadata.managedFields`. */
export type ManagedFields = {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly time?: string;
  readonly fieldsV1?: Fields;
};

/** An object in the cluster. */
type LiveObject = ManifestObject &
  WithConditions & {
    readonly metadata: {
      readonly finalizers?: readonly string[];
      readonly managedFields?: readonly ManagedFields[];
    };
    readonly status?: {
      readonly replicas?: number;
      readonly readyReplicas?: number;
      /** Pods of the newest revision, of a StatefulSet. */
      readonly updatedReplicas?: number;
    };
  };

/** A release's object, with its state in the cluster if it exists. */
export type Pair = {
  readonly release: DeployedRelease;
  readonly object: AppliedObject;
  readonly live: LiveObject | undefined;
};

/** Without etcd, the API server answers after a minute, and kubectl asks for one type after the other. */
const listMs = 120_000;

/**
 * The releases' objects, read by kubectl: one call for those with helm's label, with the owners of their fields,
 * another for those that lost it. Passes the reason to `tell` and leaves out types that the user may not list. Types
 * that the server does not know (`unknown`) have no objects. Throws `TaskError` if the cluster does not answer.
 */
export async function livePairs(
  context: ShellContext,
  releases: readonly DeployedRelease[],
  tell: (line: string) => void,
  unknown: readonly string[] = [],
): Promise<readonly Pair[]> {
  const types = [...new Set(releases.flatMap(({ manifest }) => typesOf(manifest)))].filter(
    (type) => !unknown.some((name) => type.split('.')[0] === name),
  );
  const words = ['-A', '-l', 'app.kubernetes.io/managed-by=Helm', '--show-managed-fields', '-o', 'json'];
  const $ = context.$({ quiet: true, nothrow: true, timeoutMs: listMs });
  const [output, objects] = await Promise.all([
    types.length === 0 ? undefined : $`${kubectl(context.environment)} get ${types.join(',')} ${words}`,
    Promise.all(releases.map((release) => manifestObjects(release.manifest, release))),
  ]);
  const isComplete = output === undefined || output.exitCode === 0;
  if (!isComplete) {
    const name = /doesn't have a resource type "([^".]+)/.exec(output.stderr)?.[1];
    if (name !== undefined && !unknown.includes(name))
      return livePairs(context, releases, tell, [...unknown, name]);
    if (!/\(Forbidden\)/.test(output.stderr))
      throw toolFailure('kubectl get', output, `see ${taskCommand('status')}, then run again`);
    tell(`cannot check for manual changes: ${reasonOf(output)}`);
  }
  // kubectl omits a forbidden type; if it is the only one, it prints nothing.
  const isEmpty = output === undefined || (!isComplete && output.stdout === '');
  const items = isEmpty ? [] : itemsOf<LiveObject>('kubectl get', output);
  const wanted = releases.flatMap((release, index) =>
    (objects[index] ?? []).map((object) => ({ release, object })),
  );
  const pairs = withLive(wanted, items);
  const missing = pairs.filter(({ live }) => live === undefined);
  if (missing.length === 0) return pairs;
  // Objects that may not be listed are not missing.
  if (!isComplete) return pairs.filter(({ live }) => live !== undefined);
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

/** Objects with these names, with any labels. */
async function namedObjects(context: ShellContext, pairs: readonly Pair[]) {
  const items = pairs.map(({ object: { apiVersion, kind, metadata } }) => ({
    ...{ apiVersion, kind },
    metadata: { name: metadata.name, namespace: metadata.namespace },
  }));
  const words = ['-f', '-', '--ignore-not-found', '--show-managed-fields', '-o', 'json'];
  const $ = context.$({ quiet: true, nothrow: true, input: listOf(items) });
  const output = await $`${kubectl(context.environment)} get ${words}`;
  // Unknown types have no objects.
  if (output.exitCode !== 0 && !/no matches for kind/.test(output.stderr))
    throw toolFailure('kubectl get', output);
  if (output.stdout.trim() === '') return [];
  return itemsOf<LiveObject>('kubectl get', output);
}

/**
 * Keeps the number of pods of a release before one with an autoscaler follows: it would fall to 1 when helm no longer
 * sets it, until the autoscaler has measured. A field stays if somebody else has set it, too (Kubernetes: "Transferring
 * ownership").
 */
export async function keepReplicas(
  { $, environment }: ShellContext,
  before: DeployedRelease | undefined,
): Promise<void> {
  const objects = before === undefined ? [] : await manifestObjects(before.manifest, before);
  for (const { apiVersion, kind, metadata, spec } of objects) {
    if (kind !== 'Deployment' || spec?.replicas === undefined) continue;
    const { name, namespace } = metadata;
    const words = ['-n', namespace, 'get', 'deployment', name, '--ignore-not-found'];
    const live = await $({ quiet: true })`${kubectl(environment)} ${words} -o jsonpath={.spec.replicas}`;
    if (live.stdout === '') continue;
    const replicas = Number(live.stdout);
    const own = { apiVersion, kind, metadata: { name, namespace }, spec: { replicas } };
    // Not in a list, which kubectl would check for required fields.
    const apply = ['apply', '--server-side', '--field-manager', 'k8s-deployment', '-f', '-'];
    await $({ quiet: true, input: JSON.stringify(own) })`${kubectl(environment)} ${apply}`;
  }
}
