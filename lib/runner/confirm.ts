import { createInterface } from 'node:readline/promises';
import { TaskError, UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';
import { declared } from './task.ts';

/**
 * Asks the confirmations of a run's tasks before anything runs, including needs, since a needed reset destroys as
 * much. Asks the same question once. Throws UsageError without a terminal, TaskError for any answer but yes.
 */
export async function confirmTasks(nodes: readonly TaskNode[], signal: AbortSignal): Promise<void> {
  const questions = new Map<string, TaskNode>();
  for (const node of nodes) {
    const question =
      node.input.options.yes === true
        ? undefined
        : declared<string | undefined>(node.task.confirm, node.input);
    if (question !== undefined && !questions.has(question)) questions.set(question, node);
  }
  for (const [question, node] of questions) await ask(question, node, signal);
}

async function ask(question: string, node: TaskNode, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new UsageError({
      what: `task \`${node.label}\` asks first: ${question}`,
      why: 'there is no terminal to ask on',
      advice: '`--yes` answers it',
    });
  }
  // Terminal mode would turn Ctrl-C into a character, so that the run would not see the signal.
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const closed = new Promise<undefined>((resolve) => reader.once('close', () => resolve(undefined)));
    const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal }), closed]);
    // Ctrl-D leaves the cursor after the question.
    if (answer === undefined) process.stderr.write('\n');
    if (!/^y(es)?$/i.test(answer?.trim() ?? ''))
      throw new TaskError({ what: 'not confirmed, nothing was done' });
  } finally {
    reader.close();
  }
}
