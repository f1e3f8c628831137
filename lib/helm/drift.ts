import { kubectlList } from '../kubernetes/kubectl.ts';
import { redactSecrets } from '../secrets/sops.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import type { Release } from './helmfile.ts';
import { type AppliedObject, livePairs, type ManifestObject, type Pair } from './live-objects.ts';
import { compareFields, lostField, withoutDropped } from './managed-fields.ts';
import type { Deployed } from './releases.ts';

/** Differences between a release's objects in the cluster and what helm applied. */
type Drift = {
  /** A line per deleted object, and per changed field: object, field, value with its owner, helm's value. */
  readonly changed: readonly string[];
  /** A line per added field. Not drift, as helm keeps it. */
  readonly added: readonly string[];
  /** For example `deployment frontend/app1-front has 1 of 2 pods ready`. */
  readonly unready: readonly string[];
  /** True if an install has to replace pods of an older revision. Not drift. */
  readonly unfinished: boolean;
  /** Replicas set by autoscalers, by workload. Not drift. */
  readonly autoscaled: ReadonlyMap<string, number>;
  /** An object of the release with what the cluster keeps different without drift. */
  readonly asKept: (object: AppliedObject) => AppliedObject;
  /** The objects that an install of these would remove. */
  readonly leftOutOf: (rendered: readonly AppliedObject[]) => readonly AppliedObject[];
};

/** True if an install has something to restore. */
export const isDrift = (drift: Drift | undefined): boolean => (drift?.changed.length ?? 0) > 0;

/** Number of objects and fields shown per release. */
const shownLines = 8;

/** Returns the drift of deployed releases by name and logs it. Throws `TaskError` if the cluster does not answer. */
export async function tellDrift(
  context: Pick<EnvironmentContext, '$' | 'secret' | 'environment'>,
  releases: readonly Release[],
  deployed: Deployed,
  tell: (line: string) => void,
): Promise<ReadonlyMap<string, Drift>> {
  const found = releases.flatMap(({ id }) => deployed.get(id) ?? []);
  const settled = found.filter(({ status }) => !/^(?:pending|uninstall)/.test(status));
  const pairs = await livePairs(context, settled, tell);
  const scaled = pairs.some(wasScaled) ? await scaledWorkloads(context) : [];
  const lostNamespaces = pairs.filter(isLostNamespace).map(({ object }) => object.metadata.name);
  const drifts = new Map(
    settled.map(({ name }) => {
      const own = pairs.filter(({ release }) => release.name === name);
      return [name, driftOf(own, scaled, lostNamespaces)];
    }),
  );
  // Any field may contain a password.
  if ([...drifts.values()].some(isDrift)) await redactSecrets(context);
  for (const [name, { changed, added, unready }] of drifts) {
    for (const line of unready) tell(`${name}: ${line}`);
    for (const [label, all] of [
      [`${name} was changed`, changed],
      [name, added],
    ] as const) {
      for (const line of all.slice(0, shownLines)) tell(`${label}: ${line}`);
      if (all.length > shownLines) tell(`${label}: ${all.length - shownLines} more`);
    }
  }
  return drifts;
}

function driftOf(pairs: readonly Pair[], scaled: readonly string[], lostNamespaces: readonly string[]) {
  const isScaled = ({ object, live }: Pair): boolean =>
    live !== undefined &&
    object.spec?.replicas !== undefined &&
    scaled.includes(workload(live.metadata.namespace, live.kind, live.metadata.name));
  const missing = pairs
    .filter(({ live, object }) => live === undefined && !removesItself(object))
    // Objects in a deleted namespace are gone with it.
    .filter(({ object }) => !lostNamespaces.includes(object.metadata.namespace))
    .map((pair) => `${nameOf(pair)} is missing`);
  const compared = pairs.map((pair) => ({ pair, ...compareFields(pair) }));
  const replaced = compared.flatMap(({ pair, lost }) =>
    lost
      .filter(({ path }) => path !== '.spec.replicas' || !isScaled(pair))
      .map((field) => `${nameOf(pair)} ${lostField(pair, field)}`),
  );
  const added = compared.flatMap(({ pair, added }) =>
    added
      // A pause is reported as a fault.
      .filter(({ path }) => path !== '.spec.paused' && path !== '.spec.replicas')
      .map(
        ({ path, manager }) =>
          `${nameOf(pair)} ${path} was added by ${manager}; an install keeps it: remove it by hand`,
      ),
  );
  const autoscaled = new Map(
    pairs.filter(isScaled).map(({ object, live }) => [object.metadata.name, live?.spec?.replicas ?? 0]),
  );
  const asKept = (object: AppliedObject): AppliedObject => {
    const pair = pairs.find((pair) => nameOf(pair) === nameOf({ object }));
    // An autoscaler keeps its own number, and one that takes over the last one of helm.
    const replicas =
      object.spec?.replicas !== undefined
        ? autoscaled.get(object.metadata.name)
        : pair?.object.spec?.replicas !== undefined
          ? pair.live?.spec?.replicas
          : undefined;
    const scaled = replicas === undefined ? object : { ...object, spec: { ...object.spec, replicas } };
    return pair === undefined ? scaled : withoutDropped(scaled, pair);
  };
  const leftOutOf = (rendered: readonly AppliedObject[]): readonly AppliedObject[] =>
    pairs
      .filter(({ live }) => live !== undefined)
      .map(({ object }) => object)
      .filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] !== 'keep')
      .filter((object) => !rendered.some((one) => nameOf({ object: one }) === nameOf({ object })));
  const unready = pairs.flatMap((pair) => faultsOf(pair).map((fault) => `${nameOf(pair)} ${fault}`));
  const unfinished = pairs.some(isUnfinished);
  const changed = [...missing, ...replaced];
  return { changed, added, unready, unfinished, autoscaled, asKept, leftOutOf };
}

const isLostNamespace = ({ object, live }: Pair): boolean =>
  object.kind === 'Namespace' && (live === undefined || live.metadata.deletionTimestamp !== undefined);

/** True if somebody or an autoscaler has scaled the workload. */
const wasScaled = ({ live }: Pair): boolean =>
  live?.metadata.managedFields?.some(({ subresource }) => subresource === 'scale') ?? false;

type Autoscaler = {
  readonly metadata: { readonly namespace?: string };
  readonly spec: { readonly scaleTargetRef: { readonly kind: string; readonly name: string } };
};

/** Workloads with an autoscaler, including those that KEDA creates. */
async function scaledWorkloads(context: ShellContext): Promise<readonly string[]> {
  const autoscalers = await kubectlList<Autoscaler>(context, 'get', 'horizontalpodautoscalers', '-A');
  return autoscalers.map(({ metadata, spec: { scaleTargetRef } }) =>
    workload(metadata.namespace, scaleTargetRef.kind, scaleTargetRef.name),
  );
}

const workload = (...words: readonly (string | undefined)[]): string => words.join('|');

/** Faults of an object, each completing a sentence that begins with its name. */
function faultsOf(pair: Pair): readonly string[] {
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
const isUnfinished = (pair: Pair): boolean =>
  pair.live !== undefined &&
  isOnDelete(pair.live) &&
  (olderPods(pair) > 0 || (pair.live.status?.readyReplicas ?? 0) < (pair.live.status?.replicas ?? 0));

function nameOf({ object: { kind, metadata } }: Pick<Pair, 'object'>): string {
  const place = kind === 'Namespace' ? '' : `${metadata.namespace}/`;
  return `${kind.toLowerCase()} ${place}${metadata.name}`;
}

/** True for a Job that is deleted after it has finished. */
const removesItself = ({ kind, spec }: ManifestObject): boolean =>
  kind === 'Job' && spec?.ttlSecondsAfterFinished !== undefined;
