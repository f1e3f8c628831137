import { AsyncResource } from 'node:async_hooks';
import type PQueue from 'p-queue';
import type { FinaliserOrder } from './finaliser-order.ts';
import type { TaskNode } from './graph.ts';
import type { KeptProcesses } from './kept-processes.ts';
import { Progress } from './progress.ts';
import { ReadyQueue } from './ready-queue.ts';

export type FailureMode = 'no-new' | 'continue' | 'kill';

/** A long-running process that was started. */
export type Launched = {
  /** True once it is ready, false when it has ended before. */
  readonly ready: Promise<boolean>;
  /** True when it was ended by `stop`, false when it ended for any other reason. */
  readonly ended: Promise<boolean>;
  /** Ends it, also before it is ready. */
  readonly stop: () => void;
};

export type Schedule = {
  /** In dependency order. */
  readonly nodes: readonly TaskNode[];
  readonly jobs: number;
  readonly failureMode: FailureMode;
  /** Aborted: nothing new is started but finalisers and what they need. */
  readonly signal: AbortSignal;
  /** Runs one node; never rejects. True when it is done, false when its dependents must not run. `late`: see `launch`. */
  readonly run: (node: TaskNode, late: boolean) => Promise<boolean>;
  /** Starts a node that is a long-running process. `late`: all but the finalisers is over, and `signal` is not for it. */
  readonly launch: (node: TaskNode, late: boolean) => Launched;
  /** A node will never run, because of this one or because nothing new is started. */
  readonly skip: (node: TaskNode, because: TaskNode | undefined) => void;
  /** A node failed and the mode is `kill`. Not called for a finaliser: the others run all the same. */
  readonly kill: () => void;
};

/**
 * Runs all nodes, needs first, and returns when none runs any more. The graph decides what is ready and p-queue only
 * limits: a slot is queued for a node when nothing holds that back, so a waiting node never occupies one; neither does a
 * long-running process once it is ready. A slot goes on with the next node while there is one: a job of the queue for each
 * would cost as much as a short task.
 *
 * First all that the requested task needs (`main`), then finalisers (`late`). Between the two (`closing`) what will not
 * run is left out, and long-running processes that no finaliser needs are ended.
 */
export async function runSchedule(schedule: Schedule): Promise<void> {
  const { nodes, jobs } = schedule;
  const { default: Queue } = await import('p-queue');
  // Loaded for those who use them: each module of a run makes all of them begin later.
  const kept = nodes.some((node) => node.longRunning !== undefined)
    ? new (await import('./kept-processes.ts')).KeptProcesses(nodes)
    : undefined;
  const order = nodes.some((node) => node.finalises.length > 0)
    ? (await import('./finaliser-order.ts')).FinaliserOrder
    : undefined;
  await new Scheduler(schedule, new Queue({ concurrency: jobs }), kept, order).run();
}

/** How long nodes may follow one another before the event loop has a turn. */
const turnMs = 10;

class Scheduler {
  readonly #schedule: Schedule;
  readonly #queue: PQueue;
  readonly #ready: ReadyQueue;
  readonly #progress: Progress;
  readonly #kept: KeptProcesses | undefined;
  readonly #Order: typeof FinaliserOrder | undefined;
  // A node is not to begin in the async context of the one that made room for it.
  readonly #context = new AsyncResource('schedule');
  #order: FinaliserOrder | undefined;
  #phase: 'main' | 'closing' | 'late' | 'over' = 'main';
  /** When the event loop last had a turn between two nodes. */
  #turnedAt = performance.now();
  /** Nodes that hold a slot, or are about to. */
  #active = 0;
  #stopped = false;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    schedule: Schedule,
    queue: PQueue,
    kept: KeptProcesses | undefined,
    order: typeof FinaliserOrder | undefined,
  ) {
    this.#schedule = schedule;
    this.#queue = queue;
    const { nodes } = schedule;
    this.#ready = new ReadyQueue(nodes);
    this.#progress = new Progress(nodes);
    this.#kept = kept;
    this.#Order = order;
  }

  async run(): Promise<void> {
    const { nodes, signal } = this.#schedule;
    // Not at once: it may be this very scheduler that stops the run, in the middle of a step.
    const onAbort = (): void => queueMicrotask(() => this.#pump());
    await new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      for (const node of nodes) if (node.needs.size === 0) this.#enqueue(node);
      signal.addEventListener('abort', onAbort);
      this.#pump();
    }).finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Starts what may start, and goes on to what comes next when there is nothing. */
  #pump(): void {
    for (let node = this.#take(); node !== undefined; node = this.#take()) {
      const first = node;
      this.#queue.add(() => this.#slot(first)).catch(this.#reject);
    }
    if (this.#active === 0) this.#advance();
  }

  /** The next node that may start. */
  #take(): TaskNode | undefined {
    while (this.#active < this.#schedule.jobs && this.#mayStart()) {
      const node = this.#ready.take(this.#active);
      if (node === undefined) return undefined;
      if (this.#progress.isWaiting(node)) {
        this.#active += 1;
        this.#progress.set(node, 'queued');
        return node;
      }
      // It was left out meanwhile, because the long-running process that it needs has ended.
      this.#ready.release(node);
    }
    return undefined;
  }

  #advance(): void {
    // It comes here again when they have ended.
    if (this.#phase === 'over' || this.#kept?.someEnding) return;
    if (this.#phase === 'main' && this.#mayStart()) {
      if (this.#ready.addHeld()) {
        this.#pump();
        return;
      }
      // A long-running process that was asked for by the user: until a signal comes, or its end.
      if (this.#kept?.someRequested) return;
    }
    if (this.#phase === 'main') {
      this.#phase = 'closing';
      this.#close();
      this.#pump();
      return;
    }
    if (this.#phase === 'closing' && this.#Order !== undefined) {
      this.#phase = 'late';
      this.#order = new this.#Order(
        this.#schedule.nodes,
        (node) => this.#progress.isOver(node),
        (node) => this.#want(node),
      );
      this.#order.begin();
      this.#pump();
      return;
    }
    if (this.#order?.releaseNext((node) => this.#progress.isEligible(node))) {
      this.#pump();
      return;
    }
    this.#skipRest(() => true);
    if (this.#kept?.someEnding) return;
    this.#phase = 'over';
    this.#resolve();
  }

  #mayStart(): boolean {
    if (this.#phase === 'late') return true;
    return this.#phase === 'main' && !this.#stopped && !this.#schedule.signal.aborted;
  }

  async #slot(first: TaskNode): Promise<void> {
    for (let node: TaskNode | undefined = first; node !== undefined; ) {
      const context = this.#context.runInAsyncScope(() => new AsyncResource('task'));
      await context.runInAsyncScope(this.#work, this, node);
      await this.#turn();
      // Here and no earlier: another slot would take its place.
      this.#active -= 1;
      this.#ready.release(node);
      node = this.#take();
      // Before the slot is free: the queue must know what else has become ready.
      this.#pump();
    }
  }

  /**
   * Lets signals, timers and the ends of children in between, where tasks that wait for nothing follow one another: promises alone
   * never do.
   */
  #turn(): void | Promise<void> {
    if (performance.now() - this.#turnedAt < turnMs) return;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#turnedAt = performance.now();
        resolve();
      });
    });
  }

  #work(node: TaskNode): void | Promise<void> {
    const isQueued = this.#progress.isQueued(node);
    if (isQueued && this.#mayStart())
      return node.longRunning === undefined ? this.#run(node) : this.#launch(node);
    // Left out or stopped while p-queue was about to begin: as if it had not been taken.
    if (isQueued) this.#progress.set(node, 'waiting');
  }

  async #run(node: TaskNode): Promise<void> {
    this.#progress.set(node, 'running');
    const done = await this.#schedule.run(node, this.#phase === 'late');
    if (done) this.#satisfy(node);
    else this.#fail(node);
    this.#end(node, 'ended');
  }

  async #launch(node: TaskNode): Promise<void> {
    this.#progress.set(node, 'running');
    const launched = this.#schedule.launch(node, this.#phase === 'late');
    this.#kept?.started(node, launched.stop);
    const ready = await launched.ready;
    if (ready) {
      this.#progress.set(node, 'up');
      this.#satisfy(node);
      this.#kept?.ready(node);
      void launched.ended
        .then((asked) => {
          this.#processEnded(node, asked);
          this.#pump();
        })
        .catch(this.#reject);
    } else {
      this.#processEnded(node, false);
    }
  }

  #processEnded(node: TaskNode, asked: boolean): void {
    this.#kept?.ended(node);
    if (!asked) this.#fail(node);
    this.#end(node, 'ended');
  }

  #satisfy(node: TaskNode): void {
    for (const dependent of node.dependents) if (this.#progress.satisfy(dependent)) this.#enqueue(dependent);
  }

  /** Takes a node whose needs are done to where it waits for its turn. */
  #enqueue(node: TaskNode): void {
    if (this.#phase === 'late') {
      if (this.#progress.isWanted(node)) this.#ready.add(node);
    } else if (!node.late) {
      if (node.finalises.length > 0) this.#ready.hold(node);
      else this.#ready.add(node);
    }
  }

  #fail(node: TaskNode): void {
    const { failureMode, kill } = this.#schedule;
    if (this.#phase === 'main') {
      if (failureMode !== 'continue') this.#stopped = true;
      if (failureMode === 'kill') kill();
    }
    const rest = dependentsOf(node);
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      if (!this.#progress.isWaiting(next) && !this.#progress.isQueued(next)) continue;
      this.#skip(next, node);
      for (const dependent of dependentsOf(next)) rest.push(dependent);
    }
  }

  #skip(node: TaskNode, because: TaskNode | undefined): void {
    this.#schedule.skip(node, because);
    this.#end(node, 'skipped');
  }

  #end(node: TaskNode, state: 'ended' | 'skipped'): void {
    this.#progress.set(node, state);
    this.#kept?.keeperEnded(node);
    this.#order?.ended(node);
  }

  /** What no finaliser needs will not run any more. */
  #close(): void {
    this.#ready.clear();
    const wanted = this.#progress.wantedByFinalisers();
    this.#skipRest((node) => !wanted.has(node));
    this.#kept?.dropRequests();
  }

  #skipRest(choose: (node: TaskNode) => boolean): void {
    for (const node of this.#schedule.nodes) {
      if (this.#progress.isWaiting(node) && choose(node)) this.#skip(node, undefined);
    }
  }

  /** A finaliser's time has come. */
  #want(finaliser: TaskNode): void {
    if (!this.#progress.isWaiting(finaliser)) return;
    if (!this.#progress.isEligible(finaliser)) this.#skip(finaliser, undefined);
    else for (const node of this.#progress.want(finaliser)) this.#ready.add(node);
  }
}

/** Those that must not start any more when this node has failed: of a long-running process also those behind a group. */
function dependentsOf(node: TaskNode): TaskNode[] {
  return [...node.dependents, ...(node.longRunning?.keptBy ?? [])];
}
