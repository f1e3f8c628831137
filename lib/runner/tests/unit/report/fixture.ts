import type { RecordedRun, RecordedTask } from '../../../report/recorder.ts';
import { openTally } from '../../../summary.ts';

export const summary = openTally({ reason: undefined }).summarize(true, 0);

/** Milliseconds since 1970 at which a recorded run begins. */
export const begin = 1_700_000_000_000;

/** A task of a recorded run that took from one time to another. */
export function ran(
  label: string,
  startedAt: number,
  endedAt: number,
  more: Partial<RecordedTask> = {},
): RecordedTask {
  return {
    ...{ label, description: `makes ${label}`, place: 'x.ts:1', needs: [], chain: [], because: undefined },
    ...{ status: 'done', startedAt, endedAt, waitedMs: 0, lane: 0, attempts: 1, lines: [], dropped: 0 },
    ...more,
  };
}

export const unstarted = { startedAt: undefined, endedAt: undefined, lane: undefined };

export function recordedRun(tasks: readonly RecordedTask[], more: Partial<RecordedRun> = {}): RecordedRun {
  const durationMs = Math.max(0, ...tasks.map((task) => task.endedAt ?? 0));
  const rest = { label: 'top', startedAt: begin, jobs: 2, outcome: 'done', exitCode: 0, notes: [] } as const;
  return { ...rest, durationMs, tasks, ...more };
}
