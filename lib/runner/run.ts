import type { Children } from './children.ts';
import type { Failure } from './errors.ts';
import type { Emit } from './events.ts';
import type { RunnerSettings } from './global-options.ts';
import type { LockHolder } from './lock.ts';
import type { Graph, TaskNode } from './node.ts';
import type { Terminal } from './output/terminal.ts';
import type { Redactor } from './redact.ts';
import type { CommandOptions } from './shell.ts';
import type { Stop } from './stop.ts';
import type { Options, RunOutcome } from './task.ts';

export type Cleanup = {
  readonly node: TaskNode;
  readonly run: (outcome: RunOutcome) => void | Promise<void>;
};

/** A checked graph and what it is run with. */
export type RunRequest = {
  readonly graph: Graph;
  readonly settings: RunnerSettings;
  readonly children: Children;
  readonly stop: Stop;
  readonly redactor: Redactor;
  readonly terminal: Terminal;
  /** Options for commands of tasks without `run`. */
  readonly shell: ((options: Options) => Promise<CommandOptions>) | undefined;
  /** Paths, in the order in which they are taken. */
  readonly locks: readonly string[];
  readonly memory: string;
};

/** Shared by all tasks of a run. */
export type Run = RunRequest & {
  readonly emit: Emit;
  readonly cleanups: Cleanup[];
  /** The run as its first lock's holder; undefined in a nested run, too. */
  readonly holder: LockHolder | undefined;
  /** True while cleanups run, whose commands are allowed even if the run was stopped. */
  cleaning: boolean;
};

export type NodeResult =
  | { readonly status: 'done'; readonly report: 'changed' | 'unchanged' | undefined }
  | { readonly status: 'failed'; readonly failure: Failure; readonly lastLines: readonly string[] }
  | { readonly status: 'interrupted' };

/** Interrupts a node; for most nodes, the run's stop. */
export type Gate = {
  /** Its reason is a TaskError if the interruption is a failure. */
  readonly signal: AbortSignal;
  /**
   * Called with the signal, and with a promise for the end of the interrupted children. A listener for each short task
   * would cost more than the task.
   */
  readonly interrupts: Set<(gone: Promise<void>) => void>;
};

/** Signals between the scheduler and a long-running process. */
export type Service = {
  readonly onReady: () => void;
  /** Aborted when nothing needs it any more; it is then ended, even if it is not ready yet. */
  readonly unneeded: AbortSignal;
};
