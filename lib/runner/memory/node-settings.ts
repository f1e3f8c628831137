import { createHash } from 'node:crypto';
import type { TaskNode } from '../node.ts';
import { declared } from '../task.ts';

/** Whether the task says when nothing is to be done. A long-running one is wanted for being there, not for what it did. */
export function isTracked({ task }: TaskNode): boolean {
  return (task.inputs !== undefined || task.status !== undefined) && task.ready === undefined;
}

/** Its needs, without those that it only comes after. */
export function neededBy(node: TaskNode): TaskNode[] {
  return [...node.needs].filter((needed) => !node.comesAfter.has(needed));
}

/** What a task is besides its files, by the names in explanations. Throws what its `commands` throws. */
export async function settingsOf({ task, input }: TaskNode): Promise<{ readonly [name: string]: unknown }> {
  const variables = Object.entries(declared(task.env, input) ?? {});
  return {
    'its commands': await task.commands(input),
    // What that calls in other files has to be among the inputs.
    'its code': String(task.run),
    'its folder': declared(task.cwd, input),
    'its words after `--`': input.passThrough,
    ...Object.fromEntries(variables.map(([name, value]) => [`its variable ${name}`, value])),
  };
}

/** In place of a digest: the node is done, and what it made went with the run (it registered a cleanup). */
export const passing = 'passing';

/** All of its settings in one; undefined when they cannot be told. */
export async function settingsDigest(node: TaskNode): Promise<string | undefined> {
  return settingsOf(node).then(digestOf, () => undefined);
}

/** The last digest: tasks of a large graph are often alike, and a hash costs more than all else of a small one. */
let last = { text: '', digest: '' };

/** A short name for any value: equal values, equal names. */
export function digestOf(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  if (text !== last.text || last.digest === '')
    last = { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 32) };
  return last.digest;
}
