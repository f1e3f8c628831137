import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { withProgress } from '../tools/tool-context.ts';
import { type Diagnosis, type Finding, type Pod, problemOf } from './diagnostics.ts';
import { holds, kubectlList } from './kubectl.ts';

/** The pods of the namespaces. Throws `TaskError` if kubectl fails. */
export async function readPods(context: ShellContext, namespaces: ReadonlySet<string>): Promise<Pod[]> {
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

/** The result of the work; meanwhile the task's progress names a pod that is waited for, and why. */
export const tellWaiting = <Result>(
  context: Pick<EnvironmentContext, 'progress' | 'signal'>,
  text: string,
  work: PromiseLike<Result>,
  diagnosis: Pick<Diagnosis, 'pods'>,
): Promise<Result> =>
  withProgress(context, text, work, () => {
    const [first, ...others] = unreadyOf(diagnosis.pods());
    if (first === undefined) return {};
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    return { text: `waiting for ${first.object} (${first.text})${more}` };
  });
