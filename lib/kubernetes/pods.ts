import type { ShellContext } from '../settings/context.ts';
import { type Finding, type PodStatus, problemOf } from './diagnostics.ts';
import { type Condition, holds, kubectlList } from './kubectl.ts';

/** The used part of a pod. */
export type Pod = {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: PodStatus & { readonly conditions?: readonly Condition[] };
};

/** The pods of some namespaces. Throws `TaskError` if kubectl fails. */
export async function readPods(
  context: ShellContext,
  namespaces: ReadonlySet<string>,
): Promise<readonly Pod[]> {
  const pods = await kubectlList<Pod>(context, 'get', 'pods', '-A');
  return pods.filter(({ metadata }) => namespaces.has(metadata.namespace));
}

/** Pods that should be ready and are not, each with the reason; without ended pods of Jobs and pods being deleted. */
export function unreadyOf(pods: readonly Pod[]): readonly Finding[] {
  return pods.flatMap(({ metadata, status = {} }) => {
    const { phase = 'Pending', conditions = [] } = status;
    if (phase === 'Succeeded' || phase === 'Failed' || metadata.deletionTimestamp !== undefined) return [];
    if (holds(conditions, 'Ready')) return [];
    const scheduling = conditions.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
    const text =
      problemOf(status) ??
      scheduling?.message ??
      (phase === 'Running' ? 'it is not ready' : `it is ${phase}`);
    return [{ object: `pod ${metadata.namespace}/${metadata.name}`, text }];
  });
}
