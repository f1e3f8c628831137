import { largest, smallest } from '../extremes.ts';
/** Edges by the places of their nodes in a list. */
export type Links = readonly { readonly from: number; readonly to: number }[];

/**
 * The same edges without a circle: those that would close one are turned round, and edges from a node to itself left out.
 * A run's graph has none; the overview of all tasks may, since it takes one task with different arguments for one node.
 */
export function withoutCircles(size: number, links: Links): Links {
  const next = adjacency(size, links);
  const state = new Uint8Array(size);
  const [open, closed] = [1, 2];
  const turned = new Set<string>();
  for (let first = 0; first < size; first += 1) {
    if (state[first] !== 0) continue;
    const stack = [{ node: first, rest: next[first]?.values() }];
    state[first] = open;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { value: to, done } = top.rest?.next() ?? { done: true };
      if (done || to === undefined) {
        state[top.node] = closed;
        stack.pop();
      } else if (state[to] === open) {
        turned.add(`${top.node} ${to}`);
      } else if (state[to] === 0) {
        state[to] = open;
        stack.push({ node: to, rest: next[to]?.values() });
      }
    }
  }
  return links
    .filter(({ from, to }) => from !== to)
    .map(({ from, to }) => (turned.has(`${from} ${to}`) ? { from: to, to: from } : { from, to }));
}

/**
 * The column of each node: right of everything that it depends on. What has more dependents than needs moves as far to the
 * right as these allow, which shortens its edges: a tool stands beside the task that calls it, not at the far left.
 */
export function columnsOf(size: number, links: Links): number[] {
  const next = adjacency(size, links);
  const before = adjacency(
    size,
    links.map(({ from, to }) => ({ from: to, to: from })),
  );
  const columns = new Array<number>(size).fill(0);
  const order = sorted(next, before);
  const column = (node: number): number => columns[node] ?? 0;
  for (const node of order)
    columns[node] = largest(
      0,
      (before[node] ?? []).map((needed) => column(needed) + 1),
    );
  for (const node of order.reverse()) {
    const dependents = next[node] ?? [];
    if (dependents.length > (before[node]?.length ?? 0))
      columns[node] = smallest(
        size,
        dependents.map((dependent) => column(dependent) - 1),
      );
  }
  return columns;
}

function sorted(next: readonly number[][], before: readonly number[][]): number[] {
  const missing = before.map((needed) => needed.length);
  const order = [...missing.keys()].filter((node) => missing[node] === 0);
  // The list grows while it is walked.
  for (const node of order) {
    for (const dependent of next[node] ?? []) {
      const left = (missing[dependent] ?? 0) - 1;
      missing[dependent] = left;
      if (left === 0) order.push(dependent);
    }
  }
  return order;
}

/** For each node the nodes that its edges lead to. */
function adjacency(size: number, links: Links): number[][] {
  const next: number[][] = Array.from({ length: size }, () => []);
  for (const { from, to } of links) next[from]?.push(to);
  return next;
}
