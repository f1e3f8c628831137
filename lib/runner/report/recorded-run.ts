import type { Failure } from '../errors.ts';
import type { RunOutcome } from '../task.ts';

/** How a task of a run ended; `waiting`: never started, and nobody said why. */
export type TaskStatus =
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

/** What is known of one task at the end of a run. All times are milliseconds since the start of the run. */
export type RecordedTask = {
  readonly label: string;
  readonly description: string;
  /** `tasks/vault.ts:12` */
  readonly place: string;
  /** Places in the list of tasks: what had to be done first. */
  readonly needs: readonly number[];
  readonly status: TaskStatus;
  readonly report: 'changed' | 'unchanged' | undefined;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** How long it could have run already, but did not: no worker was free, or its mutex was taken. */
  readonly waitedMs: number;
  /** From 0: the worker on whose lane it is drawn. */
  readonly lane: number | undefined;
  /** When each attempt but the last ended. */
  readonly retriedAt: readonly number[];
  readonly failure: Failure | undefined;
  /** The labels from the requested task down to this one, if it failed. */
  readonly chain: readonly string[];
  /** The place of the task because of which it was skipped. */
  readonly because: number | undefined;
  readonly lines: readonly RecordedLine[];
  /** Lines before these that were not kept. */
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
  /** What was said about the run as a whole. */
  readonly notes: readonly { readonly at: number; readonly text: string }[];
  /** In dependency order. */
  readonly tasks: readonly RecordedTask[];
};
