import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { AnyTask } from './task.ts';

/** Throws UsageError for anything but a task. In a circular import a task can be undefined, which the compiler accepts. */
export function checkTask(
  needed: unknown,
  field: 'needs' | 'steps' | 'finally' | 'after',
  owner: AnyTask,
): void {
  const { name, commands } = (needed ?? {}) as Partial<AnyTask>;
  if (typeof name === 'string' && typeof commands === 'function') return;
  throw new UsageError({
    what: `\`${field}\` of task \`${owner.name}\` holds something that is no task: \`${String(needed)}\``,
    why: 'needs are tasks, not names; one whose declaration comes later is undefined until then',
    advice: `see ${formatPlace(owner)}; \`${field}: () => […]\` is read when all are declared`,
  });
}

/** Throws UsageError for a need with `steps`, which only works on the command line. */
export function checkNeeded(needed: AnyTask, owner: AnyTask): void {
  if (needed.steps === undefined) return;
  throw new UsageError({
    what: `task \`${needed.name}\` has \`steps\` and cannot be needed by \`${owner.name}\``,
    why: 'steps are for a task that is named on the command line',
    advice: `see ${formatPlace(owner)}`,
  });
}

/** Throws UsageError for an invalid number, which may have been calculated. */
export function checkNumbers(task: AnyTask): void {
  const { retries = 0, retryDelayMs = 0, timeoutMs = 1 } = task;
  const [field, , expected] =
    [
      ['retries', Number.isInteger(retries) && retries >= 0, 'a whole number, 0 or more'] as const,
      ['retryDelayMs', retryDelayMs >= 0, 'a number of milliseconds, 0 or more'] as const,
      ['timeoutMs', timeoutMs > 0, 'a number of milliseconds above 0'] as const,
    ].find(([, isRight]) => !isRight) ?? [];
  if (field === undefined) return;
  throw new UsageError({
    what: `\`${field}\` of task \`${task.name}\` is \`${task[field]}\``,
    why: `expected ${expected}`,
    advice: `see ${formatPlace(task)}`,
  });
}
