import type { ShellContext } from '../settings/context.ts';
import { type Finding, type PodStatus, problemOf } from './diagnostics.ts';
import { type Condition, holds, kubectlList } from './kubectl.ts';

/** The fields of a pod that the tasks use. */
export type Pod = {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: PodStatus & { readonly conditions?: readonly Condition[] };
};

/** The pods of the namespaces. Throws `TaskError` if kubectl fails. */
export async function readPods(
  context: ShellContext,
  namespaces: ReadonlySet<string>,
): Promise<readonly Pod[]> {
  const pods = await kubectlList<Pod>(context, 'get', 'pods', '-A');
  return pods.filter(({ metadata }) => namespaces.has(metadata.namespace));
}

/** Pods that are unexpectedly not ready, with the reason; ignores finished pods of Jobs and pods being deleted. */
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
