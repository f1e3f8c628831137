import PQueue, { PriorityQueue } from 'p-queue';
import type { TaskNode } from './node.ts';

/** Those who wait for it are not in the queue of the run. */
type Mutex = { taken: boolean; readonly waiting: PriorityQueue };

/** How long nodes may follow one another before the event loop has a turn. */
const turnMs = 10;

/**
 * Where nodes that are ready wait for a slot: p-queue limits how many run at once and chooses the next one. A node whose mutex is
 * taken gives its slot back until the mutex is free; an interactive one begins when nothing else runs, and before all others.
 */
export class Slots {
  readonly #jobs: number;
  readonly #run: (node: TaskNode) => void | Promise<void>;
  readonly #onIdle: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #queue: PQueue;
  /** What has not begun. */
  readonly #queued = new Set<TaskNode>();
  readonly #mutexes = new Map<string, Mutex>();
  #active = 0;
  /** Interactive nodes that are queued or run. */
  #interactive = 0;
  /** When the event loop last had a turn between two nodes. */
  #turnedAt = performance.now();

  /** `onIdle` is called each time that a slot is given back and nothing runs or is queued. */
  constructor(
    jobs: number,
    run: (node: TaskNode) => void | Promise<void>,
    on: { readonly idle: () => void; readonly error: (error: unknown) => void },
  ) {
    this.#jobs = jobs;
    this.#run = run;
    this.#onIdle = on.idle;
    this.#onError = on.error;
    this.#queue = new PQueue({ concurrency: jobs });
  }

  get idle(): boolean {
    return this.#active === 0 && this.#queued.size === 0;
  }

  /** Nothing of what `change` adds begins before all of it is there to choose from. */
  together(change: () => void): void {
    this.#queue.pause();
    change();
    this.#queue.start();
  }

  /** Queues a node; the highest priority goes first. */
  add(node: TaskNode, priority: number): void {
    this.#queued.add(node);
    if (node.task.interactive) this.#setInteractive(1);
    // A slot never rejects.
    void this.#queue.add(() => this.#slot(node, priority), {
      priority: node.task.interactive ? Number.POSITIVE_INFINITY : priority,
    });
  }

  /** Forgets a node that has not begun; its job then does nothing. */
  remove(node: TaskNode): void {
    if (this.#queued.delete(node) && node.task.interactive) this.#setInteractive(-1);
  }

  /** Takes out all that have not begun, those that wait for a mutex included. */
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
        this.#onError(error);
      }
      this.#active -= 1;
      if (mutex !== undefined) mutex.taken = false;
      // Queued, not handed over: a better one may have become ready meanwhile.
      void mutex?.waiting.dequeue()?.();
    }
    if (node.task.interactive) this.#setInteractive(-1);
    if (this.idle) this.#onIdle();
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
   * Lets signals, timers and the ends of children in between, where tasks that wait for nothing follow one another: promises alone
   * never do.
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
