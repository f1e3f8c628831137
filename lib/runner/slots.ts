import { setImmediate } from 'node:timers/promises';
import PQueue, { PriorityQueue } from 'p-queue';
import type { TaskNode } from './node.ts';
import { declared } from './task.ts';

/** Nodes that wait for a mutex are not in the run's queue. */
type Mutex = { taken: boolean; readonly waiting: PriorityQueue };

/** Milliseconds for which nodes may run without a turn of the event loop. */
const turnMs = 10;

/**
 * Slots for ready nodes: p-queue limits how many run at once and picks the next. A node whose mutex is taken gives
 * its slot back until it is free; an interactive one goes first, once nothing else runs. `on.idle` is called when
 * nothing is running or queued any more, possibly by one of these functions.
 */
export function openSlots(
  jobs: number,
  run: (node: TaskNode) => void | Promise<void>,
  on: { readonly idle: () => void; readonly error: (error: unknown) => void },
) {
  const queue = new PQueue({ concurrency: jobs });
  const queued = new Set<TaskNode>();
  const mutexes = new Map<string, Mutex>();
  /** Interactive nodes, queued or running. */
  let interactive = 0;
  /** Last turn of the event loop between two nodes. */
  let turnedAt = performance.now();
  const isIdle = (): boolean => queue.pending + queue.size === 0;
  queue.on('idle', on.idle);
  return { isIdle, together, add, remove, clear };

  /** Adds nodes together: none begins before all are there to choose from. */
  function together(change: () => void): void {
    queue.pause();
    change();
    queue.start();
  }

  /** Queues a node; higher priorities go first. */
  function add(node: TaskNode, priority: number): void {
    queued.add(node);
    if (node.task.interactive) setInteractive(1);
    // Slots never reject.
    void queue.add(() => slot(node, priority), {
      priority: node.task.interactive ? Number.POSITIVE_INFINITY : priority,
    });
  }

  /** Removes a node that has not begun; its job then does nothing. */
  function remove(node: TaskNode): void {
    if (queued.delete(node) && node.task.interactive) setInteractive(-1);
  }

  /** Removes all nodes that have not begun, including those waiting for a mutex. */
  function clear(): void {
    for (const { waiting } of mutexes.values()) while (waiting.dequeue() !== undefined);
    queue.clear();
    for (const node of queued) remove(node);
  }

  async function slot(node: TaskNode, priority: number): Promise<void> {
    if (!queued.delete(node)) return;
    const mutex = mutexOf(node);
    if (mutex?.taken) {
      mutex.waiting.enqueue(async () => add(node, priority), { priority });
    } else {
      if (mutex !== undefined) mutex.taken = true;
      try {
        await run(node);
        // Promises alone never let signals, timers and children's ends be handled.
        if (performance.now() - turnedAt > turnMs) {
          await setImmediate();
          turnedAt = performance.now();
        }
      } catch (error) {
        on.error(error);
      }
      if (mutex !== undefined) mutex.taken = false;
      // Queued again, since a better node may have become ready.
      void mutex?.waiting.dequeue()?.();
    }
    if (node.task.interactive) setInteractive(-1);
  }

  function mutexOf({ task, input }: TaskNode): Mutex | undefined {
    const name = declared<string>(task.mutex, input);
    if (name === undefined) return undefined;
    const mutex = mutexes.get(name) ?? { taken: false, waiting: new PriorityQueue() };
    mutexes.set(name, mutex);
    return mutex;
  }

  function setInteractive(change: number): void {
    interactive += change;
    queue.concurrency = interactive > 0 ? 1 : jobs;
  }
}
