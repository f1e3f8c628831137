import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { AnyTask } from './task.ts';

/** The error for a mistake in the declaration of a task, with its place. */
export function mistakeIn(task: AnyTask, what: string, why?: string, more = ''): UsageError {
  return new UsageError({ what, why, advice: `see ${formatPlace(task)}${more}` });
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
