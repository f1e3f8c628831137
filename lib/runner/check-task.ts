import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { AnyTask } from './task.ts';

/** The error for a mistake in the declaration of a task, with its place. */
export function mistakeIn(task: AnyTask, what: string, why?: string, more = ''): UsageError {
  return new UsageError({ what, why, advice: `see ${formatPlace(task)}${more}` });
}

/** Throws UsageError for anything but a task. In a circular import a task can be undefined, which the compiler accepts. */
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

/** Throws UsageError for an invalid number, which may have been calculated. */
export function checkNumbers(task: AnyTask): void {
  const { retries = 0, retryDelayMs = 0, timeoutMs = 1 } = task;
  const checks = [
    ['retries', Number.isInteger(retries) && retries >= 0, 'a whole number, 0 or more'],
    ['retryDelayMs', retryDelayMs >= 0, 'a number of milliseconds, 0 or more'],
    ['timeoutMs', timeoutMs > 0, 'a number of milliseconds above 0'],
  ] as const;
  for (const [field, isRight, expected] of checks)
    if (!isRight)
      throw mistakeIn(
        task,
        `\`${field}\` of task \`${task.name}\` is \`${task[field]}\``,
        `expected ${expected}`,
      );
}
