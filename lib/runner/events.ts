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

/** All events of a run; the only input of renderers. */
export type RunEventBody =
  | { readonly type: 'run-started'; readonly nodes: readonly NodeSummary[]; readonly jobs: number }
  | { readonly type: 'lock-waiting'; readonly holder: LockHolder }
  /** Leftover commands of a killed run were ended. */
  | { readonly type: 'orphans-ended'; readonly holder: LockHolder; readonly count: number }
  | { readonly type: 'task-started'; readonly id: string }
  /** A long-running process is ready; `task-done` follows when it is stopped because nobody needs it. */
  | { readonly type: 'task-ready'; readonly id: string; readonly durationMs: number }
  | { readonly type: 'task-command'; readonly id: string; readonly command: string }
  | {
      readonly type: 'task-output';
      readonly id: string;
      /** `output`: stdout and stderr in the order of a command's writes. */
      readonly stream: 'stdout' | 'stderr' | 'output' | 'log';
      readonly line: string;
    }
  | {
      readonly type: 'task-progress';
      readonly id: string;
      readonly text: string;
      readonly share?: Share | undefined;
    }
  | { readonly type: 'task-page'; readonly id: string; readonly rows: readonly PageRow[] }
  | { readonly type: 'task-result'; readonly id: string; readonly text: string }
  | {
      readonly type: 'task-retried';
      readonly id: string;
      readonly attempt: number;
      readonly attempts: number;
      readonly failure: Failure;
    }
  | {
      readonly type: 'task-done';
      readonly id: string;
      readonly report: 'changed' | 'unchanged' | undefined;
      readonly durationMs: number;
    }
  | ({ readonly type: 'task-failed'; readonly durationMs: number } & TaskFailure)
  | { readonly type: 'task-interrupted'; readonly id: string; readonly durationMs: number }
  /** Never started, because of the failed or interrupted node with this id, or because the run stops. */
  | { readonly type: 'task-skipped'; readonly id: string; readonly because: string | undefined }
  /** Skipped: nothing has to be done. With an explanation on request. */
  | { readonly type: 'task-up-to-date'; readonly id: string; readonly explanation?: string }
  | { readonly type: 'task-resumed'; readonly id: string; readonly explanation?: string }
  /** Why a task runs, right before it starts; on request only. */
  | { readonly type: 'task-explained'; readonly id: string; readonly explanation: string }
  | { readonly type: 'watch-waiting'; readonly files: number; readonly tasks: number }
  | { readonly type: 'watch-changed'; readonly changes: readonly string[] }
  | { readonly type: 'run-stopping'; readonly reason: Exclude<StopReason, { type: 'crash' }> }
  | { readonly type: 'cleanup-failed'; readonly id: string; readonly failure: Failure }
  | ({ readonly type: 'run-ended' } & RunSummary);

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
