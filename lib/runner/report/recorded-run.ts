import type { Failure } from '../errors.ts';
import type { RunOutcome } from '../task.ts';

/** In the page of a recorded run, by which an earlier one is recognised. */
export const pageMark = '<meta name="generator" content="task runner">';

/** A task's result; `waiting`: never started, for no reported reason. */
type TaskStatus =
  | 'waiting'
  | 'running'
  | 'done'
  | 'up-to-date'
  | 'resumed'
  | 'failed'
  | 'interrupted'
  | 'skipped';

export type RecordedLine = {
  /** Milliseconds since the start of the run. */
  readonly at: number;
  readonly stream: 'stdout' | 'stderr' | 'output' | 'log' | 'command';
  readonly text: string;
};

/** A task at the end of a run. All times are milliseconds since the start of the run. */
export type RecordedTask = {
  readonly label: string;
  readonly description: string;
  /** `tasks/vault.ts:12` */
  readonly place: string;
  /** Indexes of its needs in the list of tasks. */
  readonly needs: readonly number[];
  readonly status: TaskStatus;
  readonly report?: 'changed' | 'unchanged' | undefined;
  readonly startedAt?: number | undefined;
  readonly endedAt?: number | undefined;
  /** Time in which it could have run, but no worker was free or its mutex was taken. */
  readonly waitedMs: number;
  /** Index of the worker on whose lane it is drawn. */
  readonly lane?: number | undefined;
  readonly attempts: number;
  readonly failure?: Failure | undefined;
  /** Labels from the requested task down to this one, if it failed. */
  readonly chain: readonly string[];
  /** Index of the task because of which it was skipped. */
  readonly because: number | undefined;
  readonly lines: readonly RecordedLine[];
  /** Number of earlier lines that were dropped. */
  readonly dropped: number;
};

export type RecordedRun = {
  /** The requested tasks. */
  readonly label: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly jobs: number;
  readonly outcome: RunOutcome;
  readonly exitCode: number;
  /** Messages about the whole run. */
  readonly notes: readonly { readonly at: number; readonly text: string }[];
  /** In dependency order. */
  readonly tasks: readonly RecordedTask[];
};
