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
export function claimName(
  name: string,
  task: AnyTask,
  names: Map<string, AnyTask>,
  listed?: TaskNames,
): void {
  const owner = names.get(name) ?? listed?.get(name);
  if (owner === undefined) names.set(name, task);
  else if (owner !== task) {
    const [first, second] = [formatPlace(owner), formatPlace(task)];
    const alias = owner.name !== task.name;
    const again = !alias && first === second;
    const both = alias
      ? `\`${owner.name}\` at ${first} and \`${task.name}\` at ${second}`
      : `${first} and ${second}`;
    throw new UsageError({
      what: `two tasks are called \`${name}\``,
      why: again ? `\`task()\` was called twice at ${first}` : both,
      advice: again
        ? 'call it once and need that task'
        : `give one of them another name${alias ? ' or alias' : ''}`,
    });
  }
}

/** Names and aliases of a program's tasks. Throws UsageError for mistakes in the declarations, before users find them. */
export function checkDefinitions(tasks: readonly AnyTask[], globals: ArgumentSpecs): TaskNames {
  const names = new Map<string, AnyTask>();
  for (const task of tasks) {
    for (const name of [task.name, ...(task.aliases ?? [])]) claimName(name, task, names);
    for (const [name, spec] of specsOf(task)) {
      if (name in globals && !spec.hidesGlobal) {
        throw new UsageError({
          what: `argument \`${name}\` of task \`${task.name}\` hides a global option`,
          advice: `give it another name, at ${formatPlace(task)}`,
        });
      }
    }
  }
  return names;
}
