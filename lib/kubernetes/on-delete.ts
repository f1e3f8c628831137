import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { poll } from '../ground/poll.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { type Pod, problemOf, unreadyOf } from './diagnostics.ts';
import { kubectl, kubectlList, kubectlText } from './kubectl.ts';
import { podStartMs } from './port-forward.ts';

/*
 * StatefulSets with the update strategy OnDelete: Kubernetes gives a new revision only to pods that somebody deletes.
 */

/** Label with the revision of a pod. */
const revisionLabel = 'controller-revision-hash';

export type SetPod = Pod & {
  readonly metadata: { readonly uid: string };
  readonly spec?: { readonly terminationGracePeriodSeconds?: number };
};

type StatefulSet = {
  readonly metadata: { readonly generation?: number };
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly observedGeneration?: number; readonly updateRevision?: string };
};

export type SetName = { readonly namespace: string; readonly name: string };

/** A StatefulSet with its pods, the highest ordinal first. */
export type PodSet = SetName & {
  readonly replicas: number;
  /** Pods of another than the newest revision. */
  readonly older: readonly SetPod[];
};

/** Milliseconds for Kubernetes to see a changed StatefulSet. */
const seenMs = 30_000;

/** Reads a StatefulSet that Kubernetes has seen as it is, and its pods. Throws `TaskError` if kubectl fails. */
export async function readPodSet(context: EnvironmentContext, { namespace, name }: SetName): Promise<PodSet> {
  const found = await poll(
    async () => {
      const [set] = await kubectlList<StatefulSet>(context, '-n', namespace, 'get', 'statefulset', name);
      return set?.metadata.generation === set?.status?.observedGeneration ? set : undefined;
    },
    seenMs,
    context.signal,
  );
  if (found === undefined)
    throw new TaskError({
      what: `statefulset ${namespace}/${name} is not updated`,
      why: `Kubernetes has not seen its change within ${seenMs / 1000} s`,
      advice: `check the cluster with ${taskCommand('status')}, then install again`,
    });
  const older = (await podsOf(context, { namespace, name })).filter(
    ({ metadata }) => metadata.labels?.[revisionLabel] !== found.status?.updateRevision,
  );
  return { namespace, name, replicas: found.spec.replicas ?? 1, older };
}

const podsOf = async (context: ShellContext, { namespace, name }: SetName): Promise<readonly SetPod[]> =>
  podsAmong(await kubectlList<SetPod>(context, '-n', namespace, 'get', 'pods'), name);

/** The pods of a StatefulSet among the objects of its namespace, the highest ordinal first. */
export const podsAmong = <Item extends SetPod>(objects: readonly Item[], set: string): Item[] =>
  objects
    .filter(({ metadata }) =>
      metadata.ownerReferences?.some((owner) => owner.kind === 'StatefulSet' && owner.name === set),
    )
    .sort((left, right) => right.metadata.name.localeCompare(left.metadata.name, 'en', { numeric: true }));

/** Deletes a pod and waits until there is another of its name. Throws `TaskError` if there is none in time. */
export async function replacePod(context: EnvironmentContext, set: PodSet, pod: SetPod): Promise<void> {
  const { $, environment, signal } = context;
  const { name, uid } = pod.metadata;
  await $({ quiet: true })`${kubectl(environment)} -n ${set.namespace} delete pod ${name} --wait=false`;
  const others = async () =>
    (await podsOf(context, set)).some(({ metadata }) => metadata.name === name && metadata.uid !== uid) ||
    undefined;
  const graceMs = (pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  if (await poll(others, graceMs + podStartMs, signal)) return;
  throw notBack(context, set, name, 'the former pod does not end, or no other is created');
}

/**
 * Waits until all pods but the older ones run, and on demand are ready. Throws `TaskError` with the problem of the one
 * that does not.
 */
export async function awaitNewer(
  context: EnvironmentContext,
  set: PodSet,
  wanted: 'running' | 'ready',
  waitMs = podStartMs,
): Promise<void> {
  const older = new Set(set.older.map(({ metadata }) => metadata.uid));
  let late: { readonly name: string; readonly text: string } | undefined;
  const all = async () => {
    const pods = await podsOf(context, set);
    late = pods
      .filter(({ metadata }) => !older.has(metadata.uid))
      .map((pod) => ({ name: pod.metadata.name, text: whyLate(pod, wanted) ?? '' }))
      .find(({ text }) => text !== '');
    if (late === undefined && pods.length < set.replicas)
      late = { name: set.name, text: `only ${pods.length} of ${set.replicas} pods exist` };
    if (late === undefined) return true;
    context.progress(`waiting for ${late.name}: ${late.text}`);
    return undefined;
  };
  if (await poll(all, waitMs, context.signal)) return;
  throw notBack(context, set, late?.name ?? '', late?.text ?? '');
}

/** Why a pod does not run, or on demand is not ready; undefined if it does. */
function whyLate(pod: Pod, wanted: 'running' | 'ready'): string | undefined {
  if (pod.metadata.deletionTimestamp !== undefined) return 'it is being deleted';
  return wanted === 'running' && isRunning(pod) ? undefined : unreadyOf([pod])[0]?.text;
}

/** True if the containers of a pod run, ready or not. */
export const isRunning = ({ status }: Pod): boolean =>
  status?.phase === 'Running' && problemOf(status) === undefined;

/** The error of a pod whose replacement does not come into service. */
export function notBack(
  { environment }: ShellContext,
  { namespace, older }: Pick<PodSet, 'namespace' | 'older'>,
  pod: string,
  why: string,
  advice = `see: ${kubectlText(environment)} -n ${namespace} describe pod ${pod}`,
): TaskError {
  const left = older.map(({ metadata }) => metadata.name).filter((name) => name !== pod);
  const others = left.length === 0 ? '' : `, which goes on with ${left.join(', ')}`;
  return new TaskError({
    what: `pod ${namespace}/${pod} is not back in service after its replacement`,
    why,
    advice: `${advice}; fix it and install again${others}`,
  });
}
