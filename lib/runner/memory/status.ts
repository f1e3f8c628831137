import { resolve } from 'node:path';
import { executeNode } from '../execute.ts';
import type { TaskNode } from '../node.ts';
import type { Run } from '../run.ts';
import { task } from '../task.ts';
import { declared } from './describe-node.ts';
import type { StatusAnswer } from './tracker.ts';

/**
 * Asks a task's status command, in the task's folder and with its variables, as a task of its own: it has the same time limit
 * and is stopped with the run. Its output is only shown when the task runs because of it, as part of the reason.
 */
export async function askStatus(node: TaskNode, command: string, run: Run): Promise<StatusAnswer> {
  const { cwd, env, timeoutMs, name } = node.task;
  const asked = task({
    name,
    description: 'status',
    commands: () => [command],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const shell: NonNullable<Run['shell']> = async (options) => {
    const base = (await run.shell?.(options)) ?? {};
    const folder = resolve(base.cwd ?? '.', declared(cwd, node.input) ?? '.');
    return { ...base, cwd: folder, env: { ...(base.env ?? process.env), ...declared(env, node.input) } };
  };
  const result = await executeNode({ ...node, task: asked }, { ...run, shell, emit: () => {} });
  if (result.status === 'done') return { good: true };
  if (result.status === 'interrupted') throw new Error('stopped');
  const { failure } = result;
  return { good: false, reason: `its status command ended with exit code ${failure.exitCode}` };
}
