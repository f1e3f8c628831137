import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { TaskNode } from './graph.ts';

/**
 * Needs before dependents, in the order in which they are written, depth first: the order in which a person would run
 * them by hand. Finalisers last, those of the latest tasks first. Throws when there is a cycle. A stack of its own, since a chain of 10,000 needs overflows the real one.
 */
export function dependencyOrder(nodes: readonly TaskNode[]): TaskNode[] {
  const ordered = new Set<TaskNode>();
  const open = new Set<TaskNode>();
  visit(nodes.filter((node) => !node.late));
  visit([...ordered].reverse().flatMap((node) => node.finalisers));
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
    // A finaliser comes after its task as if it needed it.
    const earlier = node.finalises.length === 0 ? node.needs : new Set([...node.needs, ...node.finalises]);
    return { node, rest: earlier.values() };
  }
}

/** A circle of more steps is shown by its ends. */
const shownOfCircle = 12;

function cycleError(path: readonly TaskNode[]): Error {
  const circle = [...path, ...path.slice(0, 1)];
  const arrows = circle.map((node, index) => {
    const before = circle[index - 1];
    if (before === undefined) return '';
    return before.needs.has(node) ? ' -> ' : ' is a finaliser of ';
  });
  const steps = (from: number, to?: number): string[] =>
    circle.slice(from, to).map(({ label, task }, index) => {
      return `${arrows[from + index]}${label} (${formatPlace(task)})`;
    });
  const half = shownOfCircle / 2;
  const left = circle.length - shownOfCircle;
  const shown = left > 0 ? [...steps(0, half), ` -> … ${left} more …`, ...steps(half + left)] : steps(0);
  const finalising = arrows.includes(' is a finaliser of ');
  return new UsageError({
    what: finalising
      ? 'a finaliser is needed by the task that it runs after'
      : 'tasks need each other in a circle',
    why: shown.join(''),
    advice: `remove one of these needs${finalising ? ' or the finaliser' : ''}`,
  });
}
