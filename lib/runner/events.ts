import type { Place } from './call-site.ts';
import type { Failure } from './errors.ts';
import type { StopReason } from './exit-codes.ts';
import type { LockHolder } from './lock.ts';
import type { RunOutcome } from './task.ts';

/** A node of the graph as events name it. */
export type NodeSummary = {
  readonly id: string;
  readonly label: string;
  readonly name: string;
  readonly needs: readonly string[];
  /** Where its task is declared. For those who look: mapping it back to TypeScript costs more than the rest of a short task. */
  readonly place: () => Place;
};

/** How many tasks of a run ended in which way. */
export type RunCounts = {
  readonly done: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly interrupted: number;
  readonly skipped: number;
  /** Not run because their inputs or status command say that nothing is to be done. */
  readonly upToDate: number;
  /** Not run because the run that is resumed had done them. */
  readonly resumed: number;
};

export type RunSummary = RunCounts & {
  readonly outcome: RunOutcome;
  readonly exitCode: number;
  readonly durationMs: number;
  readonly failed: number;
  /** In the order in which they happened. */
  readonly failures: readonly TaskFailure[];
};

export type TaskFailure = {
  readonly id: string;
  readonly label: string;
  readonly failure: Failure;
  /** The labels from the requested task down to the one that failed. */
  readonly chain: readonly string[];
  readonly lastLines: readonly string[];
  readonly place: string;
};

/** Everything that happens in a run. Renderers know nothing else. */
export type RunEventBody =
  | { readonly type: 'run-started'; readonly nodes: readonly NodeSummary[]; readonly jobs: number }
  | { readonly type: 'lock-waiting'; readonly holder: LockHolder }
  /** Commands that a killed run had left behind. */
  | { readonly type: 'orphans-ended'; readonly holder: LockHolder; readonly count: number }
  | { readonly type: 'task-started'; readonly id: string }
  /** A long-running process is ready; `task-done` follows when it was ended because nobody needs it any more. */
  | { readonly type: 'task-ready'; readonly id: string; readonly durationMs: number }
  | { readonly type: 'task-command'; readonly id: string; readonly command: string }
  | {
      readonly type: 'task-output';
      readonly id: string;
      /** `output`: stdout or stderr, in the order in which a command has written to them. */
      readonly stream: 'stdout' | 'stderr' | 'output' | 'log';
      readonly line: string;
    }
  | { readonly type: 'task-progress'; readonly id: string; readonly text: string }
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
  /** Never started: because of the failed or interrupted node of this id, or because the run starts nothing more. */
  | { readonly type: 'task-skipped'; readonly id: string; readonly because: string | undefined }
  /** Not started: nothing is to be done. The explanation is there when it was asked for. */
  | { readonly type: 'task-up-to-date'; readonly id: string; readonly explanation?: string }
  /** Not started: the run that is resumed had done it. */
  | { readonly type: 'task-resumed'; readonly id: string; readonly explanation?: string }
  /** Why it runs, right before it starts; only when that was asked for. */
  | { readonly type: 'task-explained'; readonly id: string; readonly explanation: string }
  /** The run waits for its inputs to change. */
  | { readonly type: 'watch-waiting'; readonly files: number; readonly tasks: number }
  | { readonly type: 'watch-changed'; readonly changes: readonly string[] }
  | { readonly type: 'run-stopping'; readonly reason: Exclude<StopReason, { type: 'crash' }> }
  | { readonly type: 'cleanup-failed'; readonly id: string; readonly failure: Failure }
  | ({ readonly type: 'run-ended' } & RunSummary);

/** `at`: milliseconds since 1970. */
export type RunEvent = RunEventBody & { readonly at: number };

export type Emit = (event: RunEventBody) => void;

/** What a renderer is: it is told everything, and shows what it likes. */
export type Renderer = {
  readonly onEvent: (event: RunEvent) => void;
  /** Gives the terminal to an interactive task, and takes it back. */
  readonly pause?: () => void;
  readonly resume?: () => void;
  readonly close?: () => void;
};
