import { formatPlace } from './call-site.ts';
import { UsageError } from './errors.ts';
import type { TaskNode } from './node.ts';

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

const exactlyCounted = 50_000;

/**
 * How many nodes wait for each node, directly or not: what decides which of several ready nodes goes first. Exact, by
 * one bit per node: counting paths instead would overflow on wide graphs. Nodes are in dependency order; so a node's bits
 * begin with its own, and go when those before it have been counted (12 MB for 10,000 nodes at the very most). Of more than
 * 50,000 nodes (300 MB) the paths are counted after all, up to the number of nodes: nearly the same order.
 */
export function countDependents(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const places = new Map<TaskNode, number>();
  for (const node of nodes) places.set(node, places.size);
  const width = Math.ceil(nodes.length / 32);
  const waiting: (Uint32Array | undefined)[] = new Array(nodes.length);
  const uncounted = new Uint32Array(nodes.length);
  const counts = new Map<TaskNode, number>();
  if (nodes.length > exactlyCounted) {
    for (const node of nodes.toReversed()) {
      let paths = 0;
      for (const dependent of node.dependents) paths += 1 + (counts.get(dependent) as number);
      counts.set(node, Math.min(paths, nodes.length));
    }
    return counts;
  }
  for (let place = nodes.length - 1; place >= 0; place -= 1) {
    const node = nodes[place] as TaskNode;
    uncounted[place] = node.needs.size;
    const [only] = node.dependents;
    if (only !== undefined && node.dependents.size === 1 && node.needs.size === 0) {
      // Nobody joins its bits; so most of a wide graph does without.
      counts.set(node, 1 + (counts.get(only) as number));
      leave(places.get(only) as number);
      continue;
    }
    const first = place >> 5;
    const bits = new Uint32Array(node.dependents.size === 0 ? 0 : width - first);
    for (const dependent of node.dependents) {
      const other = places.get(dependent) as number;
      join(bits, waiting[other] as Uint32Array);
      const word = (other >> 5) - first;
      bits[word] = (bits[word] as number) | (1 << (other & 31));
      leave(other);
    }
    counts.set(node, countBits(bits));
    if (node.needs.size > 0) waiting[place] = bits;
  }
  return counts;

  /** One of those before it has been counted. */
  function leave(place: number): void {
    uncounted[place] = (uncounted[place] as number) - 1;
    if (uncounted[place] === 0) waiting[place] = undefined;
  }
}

/** Both end with the bit of the last node. */
function join(bits: Uint32Array, others: Uint32Array): void {
  const offset = bits.length - others.length;
  for (let index = 0; index < others.length; index += 1) {
    bits[offset + index] = (bits[offset + index] as number) | (others[index] as number);
  }
}

/** Adds neighbouring bits up to pairs, fours and bytes, all at once. */
function countBits(bits: Uint32Array): number {
  let count = 0;
  for (let index = 0; index < bits.length; index += 1) {
    let word = bits[index] as number;
    if (word === 0) continue;
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}
