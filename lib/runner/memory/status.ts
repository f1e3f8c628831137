import { executeNode } from '../execute.ts';
import type { TaskNode } from '../node.ts';
import type { Run } from '../run.ts';
import type { AnyTask } from '../task.ts';
import type { StatusAnswer } from './tracker.ts';

/**
 * Asks a task's status command, in the task's folder and with its variables, as a task of its own: it has the same time limit
 * and is stopped with the run. Its output is only shown when the task runs because of it, as part of the reason.
 */
export async function askStatus(node: TaskNode, command: string, run: Run): Promise<StatusAnswer> {
  const { run: _, retries: __, ...declared } = node.task;
  const task: AnyTask = { ...declared, interactive: false, commands: () => [command] };
  const result = await executeNode({ ...node, task }, { ...run, emit: () => {} });
  if (result.status === 'done') return { good: true };
  if (result.status === 'interrupted') throw new Error('stopped');
  return { good: false, reason: `its status command ended with exit code ${result.failure.exitCode}` };
}
