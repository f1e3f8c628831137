import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import { type AnyTask, declared, isEmpty, type Options, type Readiness, type TaskInput } from './task.ts';
import { mistakeIn } from './task-names.ts';

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

/** Its needs, without tasks that only come before it. */
export function neededBy(node: TaskNode): TaskNode[] {
  return [...node.needs].filter((needed) => !node.comesAfter.has(needed));
}

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

/**
 * Orders needs before dependents, in written order and depth first, as a person would run them. Finalisers come last,
 * those of the latest tasks first. Throws for a cycle. Not recursive: a chain of 10,000 needs overflows the stack.
 */
export function dependencyOrder(nodes: readonly TaskNode[]): TaskNode[] {
  const ordered = new Set<TaskNode>();
  const open = new Set<TaskNode>();
  visit(nodes.filter((node) => !node.late));
  // A finaliser of several tasks is placed by the earliest one.
  const finalisers = new Set([...ordered].flatMap((node) => [...node.finalisers].reverse()));
  visit([...finalisers].reverse());
  visit(nodes);
  return [...ordered];

  function visit(some: readonly TaskNode[]): void {
    for (const first of some) if (!ordered.has(first)) visitOne(first);
  }

  function visitOne(first: TaskNode): void {
    const stack = [enter(first)];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { value: needed, done } = top.rest.next();
      if (done) {
        open.delete(top.node);
        ordered.add(top.node);
        stack.pop();
      } else if (open.has(needed)) {
        throw cycleError([...open].slice([...open].indexOf(needed)));
      } else if (!ordered.has(needed)) {
        stack.push(enter(needed));
      }
    }
  }

  function enter(node: TaskNode): { readonly node: TaskNode; readonly rest: Iterator<TaskNode, undefined> } {
    open.add(node);
    // A finaliser comes after its tasks as if it needed them.
    const earlier = node.finalises.size === 0 ? node.needs : new Set([...node.needs, ...node.finalises]);
    return { node, rest: earlier.values() };
  }
}

function cycleError(path: readonly TaskNode[]): Error {
  const circle = [...path, ...path.slice(0, 1)];
  return new UsageError({
    what: 'tasks need each other in a circle',
    why: circle.map(({ label, task }) => `${label} (${formatPlace(task.place)})`).join(' -> '),
    advice: 'remove one of these needs, or a finaliser',
  });
}

/**
 * Sets `longRunning` of nodes whose task declares `ready`. Throws UsageError for an interactive one, for one that a
 * finaliser needs, and for a requested one before other `roots`, which would wait forever.
 */
export async function markLongRunning(nodes: readonly TaskNode[], roots: readonly TaskNode[]): Promise<void> {
  const groups = new Map<TaskNode, boolean>();
  const needed = neededByFinalisers(nodes);
  for (const node of nodes) {
    const readiness = declared<Readiness>(node.task.ready, node.input);
    if (readiness === undefined) continue;
    const refuse = (why: string): UsageError =>
      mistakeIn(node.task, `task \`${node.label}\` cannot become ready: ${why}`);
    if (node.task.interactive) throw refuse('a long-running process cannot have the terminal');
    if (needed.has(node)) throw refuse('it ends before the finaliser that needs it');
    const { keptBy, requested } = await keepersOf(node);
    if (requested !== undefined && requested !== roots.at(-1)) {
      throw new UsageError({
        what: `task \`${requested.label}\` runs until a signal comes, and the tasks after it would never start`,
        advice: 'name it last, or let a task that uses it need it',
      });
    }
    node.longRunning = { readiness, keptBy, requested: requested !== undefined };
  }

  /** A task without commands, such as a group of servers, stands for its dependents. */
  async function keepersOf(
    first: TaskNode,
  ): Promise<{ keptBy: Set<TaskNode>; requested: TaskNode | undefined }> {
    const keptBy = new Set<TaskNode>();
    const seen = new Set([first]);
    for (const node of seen) {
      for (const dependent of node.dependents) {
        keptBy.add(dependent);
        if (await isGroup(dependent)) seen.add(dependent);
      }
    }
    return { keptBy, requested: roots.find((root) => seen.has(root)) };
  }

  async function isGroup(node: TaskNode): Promise<boolean> {
    const { task, input } = node;
    if (task.ready !== undefined) return false;
    const group = groups.get(node) ?? (await isEmpty(task, input));
    groups.set(node, group);
    return group;
  }
}

/** Finalisers and all their needs. */
function neededByFinalisers(nodes: readonly TaskNode[]): Set<TaskNode> {
  const needed = new Set(nodes.filter(({ finalises }) => finalises.size > 0));
  for (const node of needed) for (const need of neededBy(node)) needed.add(need);
  return needed;
}
