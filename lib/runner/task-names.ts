import { specsOf } from './arguments.ts';
import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { AnyTask, ArgumentSpecs } from './task.ts';

/** Tasks by their names and aliases. */
export type TaskNames = ReadonlyMap<string, AnyTask>;

/**
 * Registers the name of a task that may be unlisted. Throws UsageError if another task has it, since runs, records
 * and logs identify tasks by name.
 */
export function claimName(name: string, task: AnyTask, names: Map<string, AnyTask>): void {
  const owner = names.get(name);
  if (owner === undefined) names.set(name, task);
  else if (owner !== task)
    throw new UsageError({
      what: `two tasks are called \`${name}\``,
      why: `\`${owner.name}\` at ${formatPlace(owner.place)} and \`${task.name}\` at ${formatPlace(task.place)}`,
      advice: 'give one of them another name or alias, and call `task()` once for each',
    });
}

/**
 * Names and aliases of a program's tasks. Throws UsageError for mistakes in the declarations, before users find them.
 */
export function checkDefinitions(tasks: readonly AnyTask[], globals: ArgumentSpecs): TaskNames {
  const names = new Map<string, AnyTask>();
  for (const task of tasks) {
    for (const name of [task.name, ...(task.aliases ?? [])]) claimName(name, task, names);
    for (const [name, spec] of specsOf(task)) {
      if (name in globals && !spec.hidesGlobal) {
        throw new UsageError({
          what: `argument \`${name}\` of task \`${task.name}\` hides a global option`,
          advice: `give it another name, at ${formatPlace(task.place)}`,
        });
      }
    }
  }
  return names;
}

/** The error for a mistake in the declaration of a task, with its place. */
export function mistakeIn(task: AnyTask, what: string, why?: string, more = ''): UsageError {
  return new UsageError({ what, why, advice: `see ${formatPlace(task.place)}${more}` });
}

/**
 * Throws UsageError for anything but a task. In a circular import a task can be undefined, which the compiler accepts.
 */
export function checkTask(
  needed: unknown,
  field: 'needs' | 'steps' | 'finally' | 'after',
  owner: AnyTask,
): void {
  const { name, commands } = (needed ?? {}) as Partial<AnyTask>;
  if (typeof name === 'string' && typeof commands === 'function') return;
  const what = `\`${field}\` of task \`${owner.name}\` holds something that is no task: \`${String(needed)}\``;
  const why = 'needs are tasks, not names; one whose declaration comes later is undefined until then';
  throw mistakeIn(owner, what, why, `; \`${field}: () => […]\` is read when all are declared`);
}
