import type { AnyTask, Options, Readiness, TaskInput } from './task.ts';

/** One task with one set of arguments; a shared need is one node. */
export type TaskNode = {
  /** Name and canonical arguments; unique. */
  readonly id: string;
  /** As a user would type it: `install-app app1`. */
  readonly label: string;
  readonly task: AnyTask;
  readonly input: TaskInput;
  /** What must be done first. */
  readonly needs: Set<TaskNode>;
  /** Those of `needs` that it only comes after: `after` tasks, and what the command line names before it. */
  readonly comesAfter: Set<TaskNode>;
  readonly dependents: Set<TaskNode>;
  /** The first node that asked for this one; undefined for a requested task. */
  readonly neededBy: TaskNode | undefined;
  /** Its finalisers. */
  readonly finalisers: TaskNode[];
  /** The nodes that it is a finaliser of. */
  readonly finalises: TaskNode[];
  /** Only there for a finaliser: no need leads to it from a requested task. */
  readonly late: boolean;
  /** The place on the command line of the first task that it is for; finalisers come last. */
  readonly turn: number;
  /** Set for a long-running process. */
  longRunning: LongRunningNode | undefined;
};

export type Graph = {
  /** The requested tasks, as on the command line. */
  readonly roots: readonly TaskNode[];
  /** As a user would type them: `install-app app1 , test-app app1`. */
  readonly label: string;
  /** The global options. */
  readonly options: Options;
  /** In dependency order, with the finalisers and what only they need at the end. */
  readonly nodes: readonly TaskNode[];
};

/** What is known of a long-running process before it is started. */
export type LongRunningNode = {
  readonly readiness: Readiness;
  /** It is ended when all of these have ended. */
  readonly keptBy: ReadonlySet<TaskNode>;
  /** Asked for on the command line: it runs until the run is stopped. */
  readonly requested: boolean;
};
