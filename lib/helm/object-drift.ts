import { shortValues } from '../ground/short-values.ts';
import { isTree } from '../ground/tree.ts';
import type { ManifestObject, Pair, SecretObject } from './live-objects.ts';
import {
  type AddedField,
  addedFields,
  type LostField,
  lostFields,
  type ManagedFields,
} from './managed-fields.ts';

/* How one object in the cluster differs from what helm applied. */

type Comparison = { readonly lost: readonly LostField[]; readonly added: readonly AddedField[] };

export function compareFields({ object, live }: Pair): Comparison {
  if (live === undefined) return { lost: [], added: [] };
  const { apiVersion, kind, metadata, ...content } = object;
  const { labels, annotations } = metadata;
  const entries = live.metadata.managedFields ?? [];
  const compare = (wanted: unknown, owned: readonly ManagedFields[]): Comparison => ({
    lost: lostFields(wanted, live, owned),
    added: addedFields(wanted, live, owned),
  });
  if (kind !== 'Secret') return compare({ metadata: { labels, annotations }, ...content }, entries);
  // The server stores `stringData` as `data`, which helm then does not own.
  const { stringData = {}, data, type } = object as SecretObject;
  const encoded = Object.entries(stringData).map(([name, text]) => [
    name,
    Buffer.from(text).toString('base64'),
  ]);
  const wanted = {
    metadata: { labels, annotations },
    type,
    data: { ...data, ...Object.fromEntries(encoded) },
  };
  const owned = entries.map((entry) =>
    entry.fieldsV1?.['f:stringData']
      ? { ...entry, fieldsV1: { 'f:data': { '.': {} }, ...entry.fieldsV1 } }
      : entry,
  );
  return compare(wanted, owned);
}

/**
 * The value without those empty texts that helm has already applied and that are gone: operators drop them when they
 * update their resources.
 */
export function withoutDropped<Value>(
  value: Value,
  { object, live }: { readonly object: unknown; readonly live: unknown },
): Value {
  if (!isTree(value) || !isTree(object) || !isTree(live)) return value;
  const kept = Object.entries(value)
    .filter(([name, text]) => text !== '' || object[name] !== '' || live[name] !== undefined)
    .map(([name, below]) => [name, withoutDropped(below, { object: object[name], live: live[name] })]);
  return Object.fromEntries(kept) as Value;
}

/** For example `.spec.replicas: 4 (kubectl) → 2`; hides values of a Secret. */
export function lostField({ object }: Pair, { path, manager, theirs, ours }: LostField): string {
  const hidden = object.kind === 'Secret' && path.startsWith('.data');
  const [their, our] = hidden ? ['a hidden value', 'a hidden value'] : shortValues(theirs, ours);
  return `${path}: ${theirs === undefined ? 'removed' : `${their} (${manager})`} → ${our}`;
}

/** Faults of an object, each completing a sentence that begins with its name. */
export function faultsOf(pair: Pair): readonly string[] {
  const { object, live } = pair;
  const { metadata, kind, spec, status } = live ?? {};
  if (metadata?.deletionTimestamp !== undefined) {
    const finalizers = (metadata.finalizers ?? []).join(', ');
    return [`is being deleted${finalizers === '' ? '' : `, and waits for ${finalizers}`}`];
  }
  if (kind !== 'Deployment' && kind !== 'StatefulSet') return [];
  if (spec?.paused === true && object.spec?.paused !== true) {
    const resume = `kubectl -n ${object.metadata.namespace} rollout resume deployment ${object.metadata.name}`;
    return [`is paused: \`${resume}\` resumes it`];
  }
  const wanted = spec?.replicas ?? 1;
  // An autoscaler ignores a workload with 0 replicas (Kubernetes); an autoscaled chart sets none.
  if (wanted === 0 && object.spec?.replicas === undefined)
    return ['was scaled to 0, which turns its autoscaler off: scale it to 1 (`kubectl scale`)'];
  const older = olderPods(pair);
  const outdated =
    older === 0
      ? []
      : [
          `has ${older} of ${status?.replicas} pods of an older revision: an install replaces them one by one`,
        ];
  const ready = status?.readyReplicas ?? 0;
  if (ready >= wanted) return outdated;
  const reason = status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  return [...outdated, `has ${ready} of ${wanted} pods ready${reason?.message ? `: ${reason.message}` : ''}`];
}

/** True for a StatefulSet whose pods somebody else has to delete for a new revision. */
export const isOnDelete = ({ kind, spec }: ManifestObject): boolean =>
  kind === 'StatefulSet' && (spec?.updateStrategy as { type?: unknown } | undefined)?.type === 'OnDelete';

/** Number of its pods that run an older revision. */
function olderPods({ live }: Pair): number {
  if (live === undefined || !isOnDelete(live)) return 0;
  return (live.status?.replicas ?? 0) - (live.status?.updatedReplicas ?? 0);
}

/** True if an install has pods of it to replace, or was stopped before a replaced one was ready. */
export const isUnfinished = (pair: Pair): boolean =>
  pair.live !== undefined &&
  isOnDelete(pair.live) &&
  (olderPods(pair) > 0 || (pair.live.status?.readyReplicas ?? 0) < (pair.live.status?.replicas ?? 0));

export function nameOf({ object: { kind, metadata } }: Pick<Pair, 'object'>): string {
  const place = kind === 'Namespace' ? '' : `${metadata.namespace}/`;
  return `${kind.toLowerCase()} ${place}${metadata.name}`;
}

/** True for a Job that is deleted after it has finished. */
export const removesItself = ({ kind, spec }: ManifestObject): boolean =>
  kind === 'Job' && spec?.ttlSecondsAfterFinished !== undefined;
