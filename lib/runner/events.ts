import type { Place } from './call-site.ts';
import type { Failure, StopReason } from './errors.ts';
import type { LockHolder } from './lock.ts';
import type { PageRow, RunOutcome, Share } from './task.ts';

export type NodeSummary = {
  readonly id: string;
  readonly label: string;
  readonly name: string;
  readonly private: boolean;
  readonly needs: readonly string[];
  /** Runs when all others have ended: a finaliser, or what it needs. */
  readonly late: boolean;
  /** Where its task is declared. A function, since mapping to TypeScript costs more than a short task. */
  readonly place: () => Place;
};

/**
 * Numbers of a run's tasks by result. `upToDate`: skipped because inputs or status command say that nothing has to be
 * done.
 */
export type RunSummary = Readonly<
  Record<'done' | 'changed' | 'unchanged' | 'interrupted' | 'skipped' | 'upToDate' | 'resumed', number>
> & {
  readonly outcome: RunOutcome;
  readonly exitCode: number;
  readonly durationMs: number;
  readonly failed: number;
  readonly failures: readonly TaskFailure[];
};

export type TaskFailure = {
  readonly id: string;
  readonly label: string;
  readonly failure: Failure;
  /** Labels from the requested task down to the failed one. */
  readonly chain: readonly string[];
  readonly lastLines: readonly string[];
  readonly place: string;
};

/** Events about the whole run. */
type OfRun =
  | { type: 'run-started'; nodes: readonly NodeSummary[]; jobs: number }
  | { type: 'lock-waiting'; holder: LockHolder }
  /** Leftover commands of a killed run were ended. */
  | { type: 'orphans-ended'; holder: LockHolder; count: number }
  | { type: 'watch-waiting'; files: number; tasks: number }
  | { type: 'watch-changed'; changes: readonly string[] }
  | { type: 'run-stopping'; reason: Exclude<StopReason, { type: 'crash' }> }
  | ({ type: 'run-ended' } & RunSummary);

/** Events about a task, beside its id. */
type OfTask =
  | { type: 'task-started' }
  /** A long-running process is ready; `task-done` follows when it is stopped because nobody needs it. */
  | { type: 'task-ready'; durationMs: number }
  | { type: 'task-command'; command: string }
  /** `output`: stdout and stderr in the order of a command's writes. */
  | { type: 'task-output'; stream: 'stdout' | 'stderr' | 'output' | 'log'; line: string }
  | { type: 'task-progress'; text: string; share?: Share | undefined }
  | { type: 'task-page'; rows: readonly PageRow[] }
  | { type: 'task-result'; text: string }
  | { type: 'task-retried'; attempt: number; attempts: number; failure: Failure }
  | { type: 'task-done'; report: 'changed' | 'unchanged' | undefined; durationMs: number }
  | ({ type: 'task-failed'; durationMs: number } & TaskFailure)
  | { type: 'task-interrupted'; durationMs: number }
  /** Never started, because of the failed or interrupted node with this id, or because the run stops. */
  | { type: 'task-skipped'; because: string | undefined }
  /** Skipped: nothing has to be done. With an explanation on request. */
  | { type: 'task-up-to-date' | 'task-resumed'; explanation?: string }
  /** Why a task runs, right before it starts; on request only. */
  | { type: 'task-explained'; explanation: string }
  | { type: 'cleanup-failed'; failure: Failure };

/** All events of a run; the only input of renderers. */
export type RunEventBody = Readonly<OfRun | (OfTask & { id: string })>;

/** `at`: milliseconds since 1970. */
export type RunEvent = RunEventBody & { readonly at: number };

export type Emit = (event: RunEventBody) => void;

/** Receives all events and shows what it likes. */
export type Renderer = {
  readonly onEvent: (event: RunEvent) => void;
  /** Hands the terminal to an interactive task until `resume`. */
  readonly pause?: () => void;
  readonly resume?: () => void;
  readonly close?: () => void;
};
