import { createHash } from 'node:crypto';
import type { TaskNode } from '../node.ts';

/** True if the task can be up to date. A long-running one is wanted for running, not for its result. */
export function isTracked({ task }: TaskNode): boolean {
  return (task.inputs !== undefined || task.status !== undefined) && task.ready === undefined;
}

/** Its needs, without tasks that only come before it. */
export function neededBy(node: TaskNode): TaskNode[] {
  return [...node.needs].filter((needed) => !node.comesAfter.has(needed));
}

/** A task's properties apart from files, by their names in explanations. Throws what `commands` throws. */
export async function settingsOf({ task, input }: TaskNode): Promise<{ readonly [name: string]: unknown }> {
  return {
    'its commands': await task.commands(input),
    // Code in other files has to be among the inputs.
    'its code': String(task.run),
    'its words after `--`': input.passThrough,
  };
}

/** In place of a digest: the node is done, but its result ended with the run (it registered a cleanup). */
export const passing = 'passing';

/** Digest of all its settings; undefined if they are unknown. */
export async function settingsDigest(node: TaskNode): Promise<string | undefined> {
  return settingsOf(node).then(digestOf, () => undefined);
}

/** The last digest: tasks of a large graph are often alike, and hashing is the most expensive part of a small one. */
let last = { text: '', digest: '' };

/** A short name for any value; equal values have equal names. */
export function digestOf(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  if (text !== last.text || last.digest === '')
    last = { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 32) };
  return last.digest;
}
