import { countDependents } from './count-dependents.ts';
import type { TaskNode } from './graph.ts';
import { Heap } from './heap.ts';

type Mutex = { taken: boolean; readonly waiting: Heap };

/**
 * The nodes that wait for nothing but a free slot. The one that most others wait for comes first, of equals the one that
 * was written first. A node whose mutex is taken is put aside until the mutex is free; an interactive one waits until it
 * is alone, and holds back all others meanwhile.
 */
export class ReadyQueue {
  readonly #byRank: readonly TaskNode[];
  readonly #ranks: ReadonlyMap<TaskNode, number>;
  readonly #ready = new Heap();
  readonly #interactive = new Heap();
  readonly #mutexes = new Map<string, Mutex>();
  readonly #holding = new Map<TaskNode, Mutex>();
  #alone: TaskNode | undefined;

  constructor(nodes: readonly TaskNode[]) {
    const counts = countDependents(nodes);
    const of = (node: TaskNode): number => counts.get(node) ?? 0;
    // Sorting keeps the order of equals. By rank, the heaps hold plain numbers.
    this.#byRank = [...nodes].sort((left, right) => of(right) - of(left));
    this.#ranks = new Map(this.#byRank.map((node, rank) => [node, rank]));
  }

  add(node: TaskNode): void {
    const rank = this.#ranks.get(node);
    if (rank === undefined) throw new Error(`${node.label} is not part of the run`);
    (node.task.interactive ? this.#interactive : this.#ready).add(rank);
  }

  /** The next node to start, which takes its mutex; undefined when none may start beside the `active` ones. */
  take(active: number): TaskNode | undefined {
    if (this.#alone !== undefined) return undefined;
    if (this.#interactive.size > 0) {
      if (active === 0) this.#alone = this.#nodeOf(this.#interactive.take());
      return this.#alone;
    }
    for (let node = this.#next(); node !== undefined; node = this.#next()) {
      const mutex = this.#mutexOf(node);
      if (mutex === undefined) return node;
      if (!mutex.taken) {
        mutex.taken = true;
        this.#holding.set(node, mutex);
        return node;
      }
      mutex.waiting.add(this.#ranks.get(node) ?? 0);
    }
    return undefined;
  }

  /** The node has given its slot back: its mutex goes to the best of those who wait for it. */
  release(node: TaskNode): void {
    if (this.#alone === node) this.#alone = undefined;
    const mutex = this.#holding.get(node);
    if (mutex === undefined) return;
    this.#holding.delete(node);
    mutex.taken = false;
    // Only the best of those who wait, and not handed over at once: a better one may have become ready meanwhile.
    const next = mutex.waiting.take();
    if (next !== undefined) this.#ready.add(next);
  }

  /** Forgets all that wait. */
  clear(): void {
    this.#ready.clear();
    this.#interactive.clear();
    for (const mutex of this.#mutexes.values()) mutex.waiting.clear();
  }

  #next(): TaskNode | undefined {
    return this.#nodeOf(this.#ready.take());
  }

  #nodeOf(rank: number | undefined): TaskNode | undefined {
    return rank === undefined ? undefined : this.#byRank[rank];
  }

  #mutexOf(node: TaskNode): Mutex | undefined {
    const name = typeof node.task.mutex === 'function' ? node.task.mutex(node.input) : node.task.mutex;
    if (name === undefined) return undefined;
    let mutex = this.#mutexes.get(name);
    if (mutex === undefined) {
      mutex = { taken: false, waiting: new Heap() };
      this.#mutexes.set(name, mutex);
    }
    return mutex;
  }
}
