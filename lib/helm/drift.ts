import { shortValues } from '../ground/short-values.ts';
import { kubectlList } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { find, labelledObjects, type Pair, withUnlabelled } from './live-objects.ts';
import {
  type AddedField,
  addedFields,
  type Fields,
  type LostField,
  lostFields,
  type ManagedFields,
} from './managed-fields.ts';
import { type ManifestObject, manifestObjects, typesOf, withMarks } from './manifest-objects.ts';
import type { DeployedRelease } from './releases.ts';

/** How the objects of a release in the cluster differ from what helm applied. */
export type Drift = {
  /** Objects that are not in the cluster any more, as `deployment frontend/app1-front`. */
  readonly missing: readonly string[];
  /** A line for each changed field: object, field, its value and who set it, what helm had set. No value of a Secret. */
  readonly changed: readonly string[];
  /** What a person added beside it, such as `deployment backend/a .spec.paused was added by kubectl-patch; …`. No drift: helm leaves it. */
  readonly added: readonly string[];
  /** What does not work as it should, such as `deployment frontend/app1-front: 1 of 2 pods ready`. */
  readonly unready: readonly string[];
  /** Replicas that an autoscaler set, by the name of the workload. They are its business, and no drift. */
  readonly autoscaled: ReadonlyMap<string, number>;
};

/**
 * Returns the drift of each of the deployed `releases` that has any. One call of kubectl lists all objects with helm's label and the
 * owners of their fields; more calls follow only for what differs. Types that this user may not list are left out, and `cannotTell`
 * is given the reason. Throws `TaskError` when the cluster does not answer.
 */
export async function readDrift(
  context: ShellContext,
  releases: readonly DeployedRelease[],
  cannotTell: (reason: string) => void,
): Promise<ReadonlyMap<string, Drift>> {
  const types = [...new Set(releases.flatMap(({ manifest }) => typesOf(manifest)))];
  const [listed, objects] = await Promise.all([
    labelledObjects(context, types, cannotTell),
    Promise.all(releases.map(({ manifest }) => manifestObjects(manifest))),
  ]);
  const all = releases.flatMap((release, index) =>
    (objects[index] ?? []).map((object) => ({ release, object, live: find(listed.found, object, release) })),
  );
  // What may not be listed is not missing.
  const pairs = listed.complete
    ? await withUnlabelled(context, all)
    : all.filter(({ live }) => live !== undefined);
  const scaled = pairs.some(wasScaled) ? await scaledWorkloads(context) : [];
  const isScaled = ({ object, live }: Pair): boolean =>
    live !== undefined &&
    object.spec?.replicas !== undefined &&
    scaled.includes(workload(live.metadata.namespace, live));
  const lostNamespaces = new Set(
    pairs.flatMap(({ object, live }) =>
      object.kind === 'Namespace' && (live === undefined || live.metadata.deletionTimestamp !== undefined)
        ? [object.metadata.name]
        : [],
    ),
  );
  return new Map(
    releases.map((release) => {
      const own = pairs.filter((pair) => pair.release === release);
      const gone = own.filter(({ live, object }) => live === undefined && !removesItself(object));
      // A namespace takes all that is in it along.
      const missing = gone.filter(({ object }) => !lostNamespaces.has(object.metadata.namespace ?? ''));
      const compared = own.map((pair) => ({ pair, ...fieldsOf(pair) }));
      const changed = compared.flatMap(({ pair, lost }) =>
        lost
          .filter(({ path }) => path !== replicas || !isScaled(pair))
          .map((field) => `${nameOf(pair)} ${told({ ...pair, ...field })}`),
      );
      const added = compared.flatMap(({ pair, added }) =>
        added
          .filter(({ path }) => path !== paused && path !== replicas)
          .map(
            ({ path, manager }) =>
              `${nameOf(pair)} ${path} was added by ${manager}; an install leaves it: remove it by hand`,
          ),
      );
      const counts = own
        .filter(isScaled)
        .map(({ object, live }) => [object.metadata.name, live?.spec?.replicas ?? 0] as const);
      const unready = own.flatMap((pair) => faultsOf(pair).map((fault) => `${nameOf(pair)} ${fault}`));
      return [
        release.name,
        { missing: missing.map(nameOf), changed, added, unready, autoscaled: new Map(counts) },
      ];
    }),
  );
}

/** Whether an install has something to bring back. */
export const isDrift = (drift: Drift | undefined): boolean =>
  drift !== undefined && drift.missing.length + drift.changed.length > 0;

/** What a person would say is wrong with an object. */
function faultsOf({ release, object, live }: Pair): readonly string[] {
  const { metadata, kind, spec, status } = live ?? {};
  if (metadata?.deletionTimestamp !== undefined) {
    const waiting = (metadata.finalizers ?? []).join(', ');
    return [`is being deleted${waiting === '' ? '' : `, and waits for ${waiting}`}`];
  }
  if (kind !== 'Deployment' && kind !== 'StatefulSet') return [];
  if (spec?.paused === true && object.spec?.paused !== true) {
    const namespace = object.metadata.namespace || release.namespace;
    return [
      `is paused: \`kubectl -n ${namespace} rollout resume deployment ${object.metadata.name}\` lets it go on`,
    ];
  }
  const wanted = spec?.replicas ?? 1;
  // Kubernetes: an autoscaler leaves a workload without replicas alone, and the chart sets none beside an autoscaler.
  if (wanted === 0 && object.spec?.replicas === undefined) {
    return ['was scaled to 0, which turns its autoscaler off: scale it to 1 (`kubectl scale`)'];
  }
  const ready = status?.readyReplicas ?? 0;
  if (ready >= wanted) return [];
  const reason = status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  return [`has ${ready} of ${wanted} pods ready${reason?.message ? `: ${reason.message}` : ''}`];
}

const replicas = '.spec.replicas';
/** Told as a fault. */
const paused = '.spec.paused';

/** Whether anybody has scaled it ever. An autoscaler does it like a person. */
const wasScaled = ({ live }: Pair): boolean =>
  live?.metadata.managedFields?.some(({ subresource }) => subresource === 'scale') ?? false;

/** The fields that helm lost, except what the server keeps to itself or in another form. */
function fieldsOf({ release, object, live }: Pair): Fieldwise {
  if (live === undefined) return { lost: [], added: [] };
  const { apiVersion, kind, metadata, ...content } = withMarks(object, release);
  const { labels, annotations } = metadata;
  const entries = live.metadata.managedFields ?? [];
  const compare = (wanted: unknown, owned: readonly ManagedFields[]): Fieldwise => ({
    lost: lostFields(wanted, live, owned),
    added: addedFields(wanted, live, owned),
  });
  if (kind !== 'Secret') return compare({ metadata: { labels, annotations }, ...content }, entries);
  // `stringData` is kept as `data`, of which helm then owns nothing.
  const { stringData = {}, data = {}, type } = content as SecretContent;
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
  return compare(wanted, owned as readonly (ManagedFields & { readonly fieldsV1?: Fields })[]);
}

type Fieldwise = { readonly lost: readonly LostField[]; readonly added: readonly AddedField[] };

type SecretContent = {
  readonly stringData?: { readonly [name: string]: string };
  readonly data?: { readonly [name: string]: string };
  readonly type?: string;
};

/** Such as `.spec.replicas: 4 (kubectl) → 2`. */
function told({ object, path, manager, theirs, ours }: Pair & LostField): string {
  const hidden = object.kind === 'Secret' && path.startsWith('.data');
  const [their, our] = hidden ? ['a hidden value', 'a hidden value'] : shortValues(theirs, ours);
  return `${path}: ${theirs === undefined ? 'removed' : `${their} (${manager})`} → ${our}`;
}

function nameOf({ object, release }: Pair): string {
  const { kind, metadata } = object;
  return kind === 'Namespace'
    ? `namespace ${metadata.name}`
    : `${kind.toLowerCase()} ${metadata.namespace || release.namespace}/${metadata.name}`;
}

const removesItself = ({ kind, spec }: ManifestObject): boolean =>
  kind === 'Job' && spec?.ttlSecondsAfterFinished !== undefined;

type Autoscaler = {
  readonly metadata: { readonly namespace?: string };
  readonly spec: { readonly scaleTargetRef: { readonly kind: string; readonly name: string } };
};

/** The workloads whose replicas an autoscaler decides, whoever made it. KEDA makes one of these, too. */
async function scaledWorkloads(context: ShellContext): Promise<readonly string[]> {
  const list = await kubectlList<{ readonly items: readonly Autoscaler[] }>(
    context,
    'get',
    'horizontalpodautoscalers',
    '-A',
  );
  return list.items.map(({ metadata, spec: { scaleTargetRef } }) =>
    workload(metadata.namespace, { kind: scaleTargetRef.kind, metadata: scaleTargetRef }),
  );
}

const workload = (
  namespace: string | undefined,
  { kind, metadata }: { readonly kind: string; readonly metadata: { readonly name: string } },
): string => [namespace, kind, metadata.name].join('|');
