import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';

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
    why: circle.map(({ label, task }) => `${label} (${formatPlace(task)})`).join(' -> '),
    advice: 'remove one of these needs, or a finaliser',
  });
}

/**
 * Roughly how many nodes depend on each, directly or not, to choose among ready ones. Counts paths, up to the number
 * of nodes. `nodes` is in dependency order.
 */
export function countDependents(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const counts = new Map<TaskNode, number>();
  for (const node of nodes.toReversed()) {
    let paths = 0;
    for (const dependent of node.dependents) paths += 1 + (counts.get(dependent) ?? 0);
    counts.set(node, Math.min(paths, nodes.length));
  }
  return counts;
}
