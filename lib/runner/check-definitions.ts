import { formatPlace } from './call-site.ts';
import { completionTask } from './completion/completion-task.ts';
import { UsageError } from './errors.ts';
import { graphTask, listTask } from './list.ts';
import type { AnyTask, ArgumentSpecs } from './task.ts';
import { namesOf, type TaskNames } from './task-names.ts';

/** Mistakes in the tasks themselves, seen before a user runs into them. Throws UsageError. */
export function checkDefinitions(tasks: readonly AnyTask[], globals: ArgumentSpecs): TaskNames {
  const commands: readonly AnyTask[] = [listTask, graphTask, completionTask];
  for (const task of tasks) {
    if (commands.includes(task)) continue;
    const taken = [task.name, ...(task.aliases ?? [])].find((name) =>
      commands.some((own) => own.name === name),
    );
    if (taken !== undefined) {
      throw new UsageError({
        what: `\`${taken}\` is a command of the runner`,
        why: `task \`${task.name}\` has ${taken === task.name ? 'the same name' : 'it as an alias'}`,
        advice: `give it another one, at ${formatPlace(task)}`,
      });
    }
  }
  const names = namesOf(tasks);
  for (const task of tasks) {
    if (task.args === undefined) continue;
    for (const name of Object.keys(task.args)) {
      if (name in globals) {
        throw new UsageError({
          what: `argument \`${name}\` of task \`${task.name}\` hides a global option`,
          advice: `give it another name, at ${formatPlace(task)}`,
        });
      }
    }
  }
  return names;
}
