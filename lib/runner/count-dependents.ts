import type { TaskNode } from './graph.ts';

/**
 * How many nodes wait for each node, directly or not: what decides which of several ready nodes goes first. Exact, by
 * one bit per node (12 MB for 10,000 nodes): counting paths instead would overflow on wide graphs.
 */
export function countDependents(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const places = new Map(nodes.map((node, place) => [node, place]));
  const width = Math.ceil(nodes.length / 32);
  const waiting = new Map<TaskNode, Uint32Array>();
  const counts = new Map<TaskNode, number>();
  for (const node of [...nodes].reverse()) {
    const bits = new Uint32Array(width);
    for (const dependent of node.dependents) {
      join(bits, waiting.get(dependent));
      const place = places.get(dependent) ?? 0;
      bits[place >> 5] = (bits[place >> 5] ?? 0) | (1 << (place & 31));
    }
    waiting.set(node, bits);
    counts.set(node, countBits(bits));
  }
  return counts;
}

function join(bits: Uint32Array, others: Uint32Array | undefined): void {
  if (others === undefined) return;
  for (let index = 0; index < bits.length; index += 1)
    bits[index] = (bits[index] ?? 0) | (others[index] ?? 0);
}

/** Adds neighbouring bits up to pairs, fours and bytes, all at once. */
function countBits(bits: Uint32Array): number {
  let count = 0;
  for (let index = 0; index < bits.length; index += 1) {
    let word = bits[index] ?? 0;
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}
