import { UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';
import { declared, isEmpty, type Readiness } from './task.ts';
import { mistakeIn } from './task-names.ts';

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
  for (const { needs, comesAfter } of needed)
    for (const need of needs) if (!comesAfter.has(need)) needed.add(need);
  return needed;
}
