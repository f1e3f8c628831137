import type { AnyTask, Options, Readiness, TaskInput } from './task.ts';

/** A task with its arguments; a shared need is one node. */
export type TaskNode = {
  /** Name and canonical arguments; unique. */
  readonly id: string;
  /** As a user would type it: `install-app app1`. */
  readonly label: string;
  readonly task: AnyTask;
  readonly input: TaskInput;
  /** Nodes to complete first. */
  readonly needs: Set<TaskNode>;
  /** The part of `needs` that only gives the order: `after` tasks, and earlier ones on the command line. */
  readonly comesAfter: Set<TaskNode>;
  readonly dependents: Set<TaskNode>;
  /** The first node that needed this one; undefined if requested. */
  readonly neededBy: TaskNode | undefined;
  readonly finalisers: Set<TaskNode>;
  /** The nodes whose finaliser it is. */
  readonly finalises: Set<TaskNode>;
  /** True if only finalisers need it, directly or not. */
  readonly late: boolean;
  /** Position on the command line of the first task that needs it; finalisers come last. */
  readonly turn: number;
  longRunning: LongRunningNode | undefined;
};

/** Labels from the requested task down to this node. */
export function chainOf(node: TaskNode): string[] {
  const chain: string[] = [];
  for (let step: TaskNode | undefined = node; step !== undefined; step = step.neededBy)
    chain.unshift(step.label);
  return chain;
}

export type Graph = {
  /** The requested tasks, in the order of the command line. */
  readonly roots: readonly TaskNode[];
  /** As a user would type them: `install-app app1 , test-app app1`. */
  readonly label: string;
  readonly options: Options;
  /** In dependency order, finalisers and their own needs last. */
  readonly nodes: readonly TaskNode[];
};

/** A long-running process before its start. */
export type LongRunningNode = {
  readonly readiness: Readiness;
  /** It is ended when all of these have ended. */
  readonly keptBy: ReadonlySet<TaskNode>;
  /** Requested on the command line: it runs until the run stops. */
  readonly requested: boolean;
};
