import PQueue, { PriorityQueue } from 'p-queue';
import type { TaskNode } from './node.ts';

/** Nodes that wait for a mutex are not in the run's queue. */
type Mutex = { taken: boolean; readonly waiting: PriorityQueue };

/** Milliseconds for which nodes may run without a turn of the event loop. */
const turnMs = 10;

/**
 * Slots for ready nodes: p-queue limits how many run at once and picks the next. A node whose mutex is taken gives
 * its slot back until it is free; an interactive one goes first, once nothing else runs.
 */
export class Slots {
  readonly #jobs: number;
  readonly #run: (node: TaskNode) => void | Promise<void>;
  readonly on: { readonly idle: () => void; readonly error: (error: unknown) => void };
  readonly #queue: PQueue;
  readonly #queued = new Set<TaskNode>();
  readonly #mutexes = new Map<string, Mutex>();
  #active = 0;
  /** Interactive nodes, queued or running. */
  #interactive = 0;
  /** Last turn of the event loop between two nodes. */
  #turnedAt = performance.now();

  /** `on.idle` is called after each slot that leaves nothing running or queued. */
  constructor(jobs: number, run: (node: TaskNode) => void | Promise<void>, on: Slots['on']) {
    this.#jobs = jobs;
    this.#run = run;
    this.on = on;
    this.#queue = new PQueue({ concurrency: jobs });
  }

  get idle(): boolean {
    return this.#active === 0 && this.#queued.size === 0;
  }

  /** Adds nodes together: none begins before all are there to choose from. */
  together(change: () => void): void {
    this.#queue.pause();
    change();
    this.#queue.start();
  }

  /** Queues a node; higher priorities go first. */
  add(node: TaskNode, priority: number): void {
    this.#queued.add(node);
    if (node.task.interactive) this.#setInteractive(1);
    // Slots never reject.
    void this.#queue.add(() => this.#slot(node, priority), {
      priority: node.task.interactive ? Number.POSITIVE_INFINITY : priority,
    });
  }

  /** Removes a node that has not begun; its job then does nothing. */
  remove(node: TaskNode): void {
    if (this.#queued.delete(node) && node.task.interactive) this.#setInteractive(-1);
  }

  /** Removes all nodes that have not begun, including those waiting for a mutex. */
  clear(): void {
    for (const { waiting } of this.#mutexes.values()) while (waiting.dequeue() !== undefined);
    this.#queue.clear();
    for (const node of this.#queued) this.remove(node);
  }

  async #slot(node: TaskNode, priority: number): Promise<void> {
    if (!this.#queued.delete(node)) return;
    const mutex = this.#mutexOf(node);
    if (mutex?.taken) {
      mutex.waiting.enqueue(async () => this.add(node, priority), { priority });
    } else {
      if (mutex !== undefined) mutex.taken = true;
      this.#active += 1;
      try {
        await this.#run(node);
        if (performance.now() - this.#turnedAt > turnMs) await this.#turn();
      } catch (error) {
        this.on.error(error);
      }
      this.#active -= 1;
      if (mutex !== undefined) mutex.taken = false;
      // Queued again, since a better node may have become ready.
      void mutex?.waiting.dequeue()?.();
    }
    if (node.task.interactive) this.#setInteractive(-1);
    if (this.idle) this.on.idle();
  }

  #mutexOf({ task, input }: TaskNode): Mutex | undefined {
    const name = typeof task.mutex === 'function' ? task.mutex(input) : task.mutex;
    if (name === undefined) return undefined;
    const mutex = this.#mutexes.get(name) ?? { taken: false, waiting: new PriorityQueue() };
    this.#mutexes.set(name, mutex);
    return mutex;
  }

  #setInteractive(change: number): void {
    this.#interactive += change;
    this.#queue.concurrency = this.#interactive > 0 ? 1 : this.#jobs;
  }

  /**
   * Lets signals, timers and children's ends be handled between tasks that wait for nothing, as promises alone never
   * do.
   */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#turnedAt = performance.now();
        resolve();
      });
    });
  }
}
