import { countDependents } from './count-dependents.ts';
import type { TaskNode } from './graph.ts';

type Mutex = { taken: boolean; readonly waiting: Heap };

/**
 * The nodes that wait for nothing but a free slot. The one that most others wait for comes first, of equals the one that
 * was written first. A node whose mutex is taken is put aside until the mutex is free; an interactive one waits until it
 * is alone, and holds back all others meanwhile.
 */
export class ReadyQueue {
  readonly #nodes: readonly TaskNode[];
  readonly #byRank: readonly TaskNode[];
  readonly #ranks: ReadonlyMap<TaskNode, number>;
  readonly #ready = new Heap();
  readonly #interactive = new Heap();
  readonly #mutexes = new Map<string, Mutex>();
  readonly #holding = new Map<TaskNode, Mutex>();
  /** Those that are finalisers too: they begin when nothing else can. */
  readonly #held = new Set<TaskNode>();
  #places: ReadonlyMap<TaskNode, number> | undefined;
  #alone: TaskNode | undefined;

  constructor(nodes: readonly TaskNode[]) {
    this.#nodes = nodes;
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

  /** Keeps a node that is a finaliser too until `addHeld`. */
  hold(node: TaskNode): void {
    this.#held.add(node);
  }

  /** Adds one of those: the one whose task comes last, since what was made last is taken away first. False: there is none. */
  addHeld(): boolean {
    this.#places ??= new Map(this.#nodes.map((node, place) => [node, place]));
    const places = this.#places;
    const latest = ({ finalises }: TaskNode): number =>
      finalises.reduce((last, owner) => Math.max(last, places.get(owner) ?? 0), 0);
    let first: TaskNode | undefined;
    for (const node of this.#held) if (first === undefined || latest(node) > latest(first)) first = node;
    if (first === undefined) return false;
    this.#held.delete(first);
    this.add(first);
    return true;
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
    this.#held.clear();
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

/** Whole numbers, the smallest first: adding and taking cost the logarithm of the size, however many there are. */
class Heap {
  readonly #numbers: number[] = [];

  get size(): number {
    return this.#numbers.length;
  }

  add(number: number): void {
    const numbers = this.#numbers;
    let place = numbers.length;
    numbers.push(number);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = numbers[parent] as number;
      if (above <= number) break;
      numbers[place] = above;
      place = parent;
    }
    numbers[place] = number;
  }

  /** Takes the smallest away; undefined when there is none. */
  take(): number | undefined {
    const numbers = this.#numbers;
    const smallest = numbers[0];
    const last = numbers.pop();
    if (smallest === undefined || last === undefined || numbers.length === 0) return smallest;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= numbers.length) break;
      const right = numbers[child + 1];
      if (right !== undefined && right < (numbers[child] as number)) child += 1;
      const below = numbers[child] as number;
      if (below >= last) break;
      numbers[place] = below;
      place = child;
    }
    numbers[place] = last;
    return smallest;
  }

  clear(): void {
    this.#numbers.length = 0;
  }
}
