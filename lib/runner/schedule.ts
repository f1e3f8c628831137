import { AsyncResource } from 'node:async_hooks';
import { countDependents } from './count-dependents.ts';
import type { TaskNode } from './graph.ts';

export type FailureMode = 'no-new' | 'continue' | 'kill';

export type Schedule = {
  /** In dependency order. */
  readonly nodes: readonly TaskNode[];
  readonly jobs: number;
  readonly failureMode: FailureMode;
  /** Aborted: nothing new is started. */
  readonly signal: AbortSignal;
  /** Runs one node; never rejects. True when it is done, false when its dependents must not run. */
  readonly run: (node: TaskNode) => Promise<boolean>;
  /** A node will never run, because of this one or because nothing new is started. */
  readonly skip: (node: TaskNode, because: TaskNode | undefined) => void;
  /** A node failed and the mode is `kill`. */
  readonly kill: () => void;
};

/**
 * Runs all nodes, needs first, and returns when none runs any more. The graph decides what is ready and p-queue only
 * limits: a node enters the queue when nothing holds it back, so a waiting node never occupies a slot. Of those that
 * are ready, the one that most others wait for goes first.
 */
export async function runSchedule(schedule: Schedule): Promise<void> {
  const { default: PQueue } = await import('p-queue');
  const queue = new PQueue({ concurrency: schedule.jobs });
  const priorities = countDependents(schedule.nodes);
  const missing = new Map(schedule.nodes.map((node) => [node, node.needs.size]));
  const settled = new Set<TaskNode>();
  const ready = schedule.nodes.filter((node) => node.needs.size === 0);
  const mutexes = new Set<string>();
  let interactive: TaskNode | undefined;
  let active = 0;
  let stopped = false;

  await new Promise<void>((resolve) => {
    pump();

    function pump(): void {
      if (!mayStart()) {
        if (active === 0) end();
        return;
      }
      // Sorted although p-queue sorts too: it starts the first ones before it has seen the others.
      const startable = takeStartable().sort((left, right) => priorityOf(right) - priorityOf(left));
      for (const node of startable) start(node);
      if (active === 0) end();
    }

    function end(): void {
      for (const node of schedule.nodes) if (!settled.has(node)) skip(node, undefined);
      resolve();
    }

    /** An interactive node waits until it is alone, and holds back what becomes ready meanwhile. */
    function takeStartable(): TaskNode[] {
      if (interactive !== undefined) return [];
      const alone = ready.findIndex((node) => node.task.interactive);
      if (alone >= 0) {
        if (active > 0) return [];
        interactive = ready[alone];
        return ready.splice(alone, 1);
      }
      const startable: TaskNode[] = [];
      const held: TaskNode[] = [];
      for (const node of ready.splice(0)) {
        const mutex = mutexOf(node);
        if (mutex !== undefined && mutexes.has(mutex)) held.push(node);
        else startable.push(node);
        if (mutex !== undefined) mutexes.add(mutex);
      }
      ready.push(...held);
      return startable;
    }

    function start(node: TaskNode): void {
      active += 1;
      // p-queue 9 runs a queued job in the async context of the job that made room for it.
      const job = AsyncResource.bind(async () => {
        if (mayStart()) {
          settled.add(node);
          finish(node, await schedule.run(node));
        }
        release(node);
        // Before the slot is free: the queue must know what has become ready when it chooses the next one.
        pump();
      });
      void queue.add(job, { priority: priorityOf(node) });
    }

    function release(node: TaskNode): void {
      active -= 1;
      const mutex = mutexOf(node);
      if (mutex !== undefined) mutexes.delete(mutex);
      if (interactive === node) interactive = undefined;
    }

    function finish(node: TaskNode, done: boolean): void {
      if (!done) {
        if (schedule.failureMode !== 'continue') stopped = true;
        if (schedule.failureMode === 'kill') schedule.kill();
        skipDependents(node);
        return;
      }
      for (const dependent of node.dependents) {
        const left = (missing.get(dependent) ?? 0) - 1;
        missing.set(dependent, left);
        if (left === 0 && !settled.has(dependent)) ready.push(dependent);
      }
    }
  });

  function priorityOf(node: TaskNode): number {
    return priorities.get(node) ?? 0;
  }

  function mayStart(): boolean {
    return !stopped && !schedule.signal.aborted;
  }

  function skipDependents(failed: TaskNode): void {
    const rest = [...failed.dependents];
    for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
      if (settled.has(node)) continue;
      skip(node, failed);
      rest.push(...node.dependents);
    }
  }

  function skip(node: TaskNode, because: TaskNode | undefined): void {
    settled.add(node);
    schedule.skip(node, because);
  }
}

function mutexOf(node: TaskNode): string | undefined {
  const { mutex } = node.task;
  return typeof mutex === 'function' ? mutex(node.input) : mutex;
}
