import type { ShellContext } from '../settings/context.ts';
import { type Finding, type PodStatus, problemOf } from './diagnostics.ts';
import { kubectlList } from './kubectl.ts';

/** What is read of a pod. */
export type Pod = {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly deletionTimestamp?: string;
  };
  readonly status?: PodStatus & {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
};

/** The pods of some namespaces. Throws `TaskError` when kubectl fails. */
export async function readPods(
  context: ShellContext,
  namespaces: ReadonlySet<string>,
): Promise<readonly Pod[]> {
  const { items } = await kubectlList<{ items: readonly Pod[] }>(context, 'get', 'pods', '-A');
  return items.filter(({ metadata }) => namespaces.has(metadata.namespace));
}

/**
 * Those that should serve and are not ready, each with the reason. Pods of Jobs end, and a pod that is going away is replaced by
 * another.
 */
export function unreadyOf(pods: readonly Pod[]): readonly Finding[] {
  return pods.flatMap(({ metadata, status = {} }) => {
    const { phase = 'Pending', conditions = [] } = status;
    const holds = (wanted: string) =>
      conditions.some(({ type, status: is }) => type === wanted && is === 'True');
    if (phase === 'Succeeded' || phase === 'Failed' || metadata.deletionTimestamp !== undefined) return [];
    if (holds('Ready')) return [];
    const scheduling = conditions.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
    const text =
      problemOf(status) ??
      scheduling?.message ??
      (phase === 'Running' ? 'it is not ready' : `it is ${phase}`);
    return [{ object: `pod ${metadata.namespace}/${metadata.name}`, text }];
  });
}
