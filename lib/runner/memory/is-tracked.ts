import type { TaskNode } from '../graph.ts';

/** Whether the task says when nothing is to be done. A long-running one is wanted for being there, not for what it did. */
export function isTracked({ task }: TaskNode): boolean {
  return (task.inputs !== undefined || task.status !== undefined) && task.ready === undefined;
}
