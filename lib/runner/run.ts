import type { BackPressure } from './back-pressure.ts';
import type { Children } from './children.ts';
import type { Failure, TaskError } from './errors.ts';
import type { Emit } from './events.ts';
import type { LockHolder } from './lock.ts';
import type { TaskNode } from './node.ts';
import type { Redactor } from './redact.ts';
import type { CommandOptions } from './shell.ts';
import type { Stop } from './stop.ts';
import type { Options, RunOutcome } from './task.ts';

export type Cleanup = {
  readonly node: TaskNode;
  readonly run: (outcome: RunOutcome) => void | Promise<void>;
};

/** What all tasks of a run share. */
export type Run = {
  readonly children: Children;
  readonly stop: Stop;
  readonly redactor: Redactor;
  readonly emit: Emit;
  readonly cleanups: Cleanup[];
  readonly verbose: boolean;
  /** Both streams of a command come as one, in the order in which it writes, unless somebody tells them apart. */
  readonly oneStream: boolean;
  /** What the commands of tasks without a `run` start with. */
  readonly shell: ((options: Options) => Promise<CommandOptions>) | undefined;
  /** The path of the lock that the run holds. */
  readonly lock: string | undefined;
  /** The run as the lock's holder; undefined also inside a run that holds it. */
  readonly holder: LockHolder | undefined;
  /** Keeps children from printing faster than can be written. */
  readonly pressure: BackPressure | undefined;
  /** The cleanups run: their commands are let through although the run was stopped. */
  cleaning: boolean;
};

export type NodeResult =
  | { readonly status: 'done'; readonly report: 'changed' | 'unchanged' | undefined }
  | { readonly status: 'failed'; readonly failure: Failure; readonly lastLines: readonly string[] }
  | { readonly status: 'interrupted' };

/** What interrupts a node. Of most it is the stop of the run. */
export type Gate = {
  readonly signal: AbortSignal;
  /** Resolves when the children that the interruption is for are gone. */
  readonly ended: () => Promise<void>;
  /** The interruption is a failure, and this one. */
  readonly failure?: () => TaskError | undefined;
  /** From now on it interrupts nothing; may be called twice. */
  readonly release?: () => void;
};
