import { UsageError } from '../errors.ts';
import type { TaskNode } from '../node.ts';
import { isEmpty } from '../task.ts';
import { isTracked, neededBy } from './describe-node.ts';
import { carriedOver, type Effect, effectOfFingerprint } from './fingerprint.ts';
import { declaredReason } from './memory.ts';
import { type MemoryRequest, openTracker } from './open-memory.ts';

/**
 * Says for each task of a run that does not take place why it would run or not, one line each. No command is started, so what
 * depends on one (a status command, what a need changes) is told as a condition.
 */
export async function predict(request: MemoryRequest): Promise<Map<TaskNode, string>> {
  const asked = new Set<TaskNode>();
  const tracker = await openTracker(request, async (node) => {
    asked.add(node);
    return { good: true };
  });
  const running = new Set<TaskNode>();
  const effects = new Map<TaskNode, Effect>();
  const effectOf = (node: TaskNode): Effect => (running.has(node) ? carriedOver : effects.get(node));
  const lines = new Map<TaskNode, string>();
  for (const node of request.graph.nodes) lines.set(node, `${node.label} ${await textOf(node)}`);
  return lines;

  async function textOf(node: TaskNode): Promise<string> {
    const first = neededBy(node).find((needed) => running.has(needed));
    if (!isTracked(node)) {
      if (!(await isEmpty(node.task, node.input)) || first !== undefined) running.add(node);
      return `runs: ${declaredReason(node)}`;
    }
    try {
      const look = await tracker.look(node, effectOf);
      const condition = conditionOf(node, first);
      if (look.run || condition !== undefined) running.add(node);
      if (look.run) return `runs: ${look.reason}`;
      if (condition !== undefined) return condition;
      effects.set(node, effectOfFingerprint(node, look.before));
      return `is up to date: ${look.reason}`;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      running.add(node);
      return first === undefined ? `fails: ${error.what}` : `runs after ${first.label}: ${error.what} yet`;
    }
  }

  function conditionOf(node: TaskNode, first: TaskNode | undefined): string | undefined {
    if (first !== undefined && node.task.inputs !== undefined)
      return `runs if ${first.label}, which it needs, changes something`;
    return asked.has(node) ? 'runs unless its status command says that nothing is to be done' : undefined;
  }
}
