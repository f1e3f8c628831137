import { TaskError, UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';
import { declared, type Question } from './task.ts';

/**
 * Asks the confirmations of a run's tasks before anything runs, including needs, since a needed reset destroys as
 * much. Asks the same question once. Throws UsageError without a terminal, TaskError for any answer but yes, or but the
 * word that has to be typed.
 */
export async function confirmTasks(nodes: readonly TaskNode[], signal: AbortSignal): Promise<void> {
  const questions = new Map<string, { readonly node: TaskNode; readonly word: string | undefined }>();
  for (const node of nodes) {
    const { yes, confirm } = node.input.options;
    const asked = await declared<Question | undefined | Promise<Question | undefined>>(
      node.task.confirm,
      node.input,
    );
    const { question, word } = typeof asked === 'string' ? { question: asked } : (asked ?? {});
    if (question === undefined || questions.has(question)) continue;
    if (word === undefined ? yes !== true : confirm !== word) questions.set(question, { node, word });
  }
  for (const [question, { node, word }] of questions) await ask(question, node, word, signal);
}

async function ask(
  question: string,
  node: TaskNode,
  word: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new UsageError({
      what: `task \`${node.label}\` asks first: ${question}`,
      why: 'there is no terminal to ask on',
      advice:
        word === undefined ? '`--yes` answers it' : `\`--confirm ${word}\` answers it, \`--yes\` does not`,
    });
  }
  // Few runs ask.
  const { createInterface } = await import('node:readline/promises');
  // Terminal mode would turn Ctrl-C into a character, so that the run would not see the signal.
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const closed = new Promise<undefined>((resolve) => reader.once('close', () => resolve(undefined)));
    const wanted = word === undefined ? '[y/N]' : `Type \`${word}\` to confirm:`;
    const answer = await Promise.race([reader.question(`${question} ${wanted} `, { signal }), closed]);
    // Ctrl-D leaves the cursor after the question.
    if (answer === undefined) process.stderr.write('\n');
    const given = answer?.trim() ?? '';
    if (word === undefined ? !/^y(es)?$/i.test(given) : given !== word)
      throw new TaskError({ what: 'not confirmed, nothing was done' });
  } finally {
    reader.close();
  }
}
