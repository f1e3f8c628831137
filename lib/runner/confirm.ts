import { createInterface } from 'node:readline/promises';
import { TaskError, UsageError } from './errors.ts';
import type { TaskNode } from './graph.ts';

/**
 * Asks what the requested task wants to be asked, before anything runs. Throws UsageError without a terminal, TaskError
 * for any answer but yes.
 */
export async function confirmTask(node: TaskNode, signal: AbortSignal): Promise<void> {
  const { confirm } = node.task;
  if (confirm === undefined || node.input.options.yes === true) return;
  const question = typeof confirm === 'function' ? confirm(node.input) : confirm;
  if (!process.stdin.isTTY) {
    throw new UsageError({
      what: `task \`${node.label}\` asks first: ${question}`,
      why: 'there is no terminal to ask on',
      advice: '`--yes` answers it',
    });
  }
  // Not in terminal mode: that would turn Ctrl-C into a character, and the run would not see the signal.
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const closed = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
    const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal }), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new TaskError({ what: 'not confirmed, nothing was done' });
  } finally {
    reader.close();
  }
}
