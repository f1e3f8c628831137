import { buildGraph } from '../../graph.ts';
import type { Graph } from '../../node.ts';
import { type AnyTask, type ArgumentValues, type Task, type TaskDefinition, task } from '../../task.ts';

/** A task that does nothing but what `more` says. */
export function plain(
  name: string,
  more: Partial<TaskDefinition<Record<never, never>>> = {},
): Task<Record<never, never>> {
  return task({ name, description: 'd', commands: () => [], ...more }, plain);
}

/** The graph of a run of one task. */
export function graphOf(
  requested: AnyTask,
  args: ArgumentValues = {},
  passThrough: string[] = [],
): Promise<Graph> {
  return buildGraph([{ task: requested, args, passThrough }], {}, 'run');
}
