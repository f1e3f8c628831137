import type { TaskNode } from '../node.ts';
import { declared, type Options } from '../task.ts';
import { digestOf } from './file-state.ts';

/** What a task is besides its files, each part by the name that it has in explanations; values only as digests. */
export type Facets = { readonly [name: string]: string };

/** Its needs, without those that it only comes after. */
export function neededBy(node: TaskNode): TaskNode[] {
  return [...node.needs].filter((needed) => !node.comesAfter.has(needed));
}

/** The facets of a node. Throws what its `commands` throws. */
export async function facetsOf({ task, input }: TaskNode): Promise<Facets> {
  const variables = Object.entries(declared(task.env, input) ?? {}).map(
    ([name, value]) => [`variable ${name}`, digestOf(value)] as const,
  );
  return {
    commands: digestOf(await task.commands(input)),
    code: codeDigest(task.run),
    folder: digestOf(declared(task.cwd, input)),
    'words after `--`': digestOf(input.passThrough),
    'list of inputs': digestOf(declared(task.inputs, input)),
    'list of outputs': digestOf(declared(task.outputs, input)),
    ...Object.fromEntries(variables),
  };
}

/** All facets in one; undefined when they cannot be told. A promise only for a task that makes one of its commands. */
export function settingsDigest({ task, input }: TaskNode): string | undefined | Promise<string | undefined> {
  const digest = (commands: readonly string[]): string => {
    const parts = [commands, codeDigest(task.run), declared(task.cwd, input), declared(task.env, input)];
    return digestOf([...parts, input.passThrough]);
  };
  try {
    const commands = task.commands(input);
    return 'then' in commands ? commands.then(digest).catch(() => undefined) : digest(commands);
  } catch {
    return undefined;
  }
}

/** The options that are not the runner's own: those that a task's work may depend on. */
export function ownOptions(options: Options, runnerNames: readonly string[]): [string, unknown][] {
  const own = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !runnerNames.includes(name),
  );
  return own.sort(([left], [right]) => (left < right ? -1 : 1));
}

const codeDigests = new WeakMap<object, string>();

/** Of the text of a task's `run`. What that calls in other files has to be among the task's inputs. */
function codeDigest(run: object | undefined): string {
  if (run === undefined) return '';
  const known = codeDigests.get(run) ?? digestOf(String(run));
  codeDigests.set(run, known);
  return known;
}

/** Whether the task says when nothing is to be done. A long-running one is wanted for being there, not for what it did. */
export function isTracked({ task }: TaskNode): boolean {
  return (task.inputs !== undefined || task.status !== undefined) && task.ready === undefined;
}
