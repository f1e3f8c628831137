import { countDependents } from './dependency-order.ts';
import { FinaliserOrder } from './finaliser-order.ts';
import { KeptProcesses } from './kept-processes.ts';
import type { TaskNode } from './node.ts';
import { Progress } from './progress.ts';
import { Slots } from './slots.ts';

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
 * Runs all nodes, needs first, and returns when none runs any more. The graph decides what is ready, p-queue how many of those run
 * at once and which goes first: the one that most others wait for, of equals the one that was written first. Only ready nodes are in
 * the queue, so a waiting node never holds a slot; neither does a long-running process once it is ready.
 *
 * First all that the requested task needs (`main`), then finalisers (`late`). Between the two (`closing`) what will not
 * run is left out, and long-running processes that no finaliser needs are ended.
 */
export async function runSchedule(schedule: Schedule): Promise<void> {
  await new Scheduler(schedule).run();
}

class Scheduler {
  readonly #schedule: Schedule;
  readonly #slots: Slots;
  readonly #priorities: ReadonlyMap<TaskNode, number>;
  readonly #progress: Progress;
  readonly #kept: KeptProcesses;
  /** Needed nodes that are finalisers too: they begin when nothing else can. */
  readonly #held = new Set<TaskNode>();
  #order: FinaliserOrder | undefined;
  #phase: 'main' | 'closing' | 'late' | 'over' = 'main';
  #failed = false;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(schedule: Schedule) {
    const { nodes, jobs } = schedule;
    this.#schedule = schedule;
    this.#slots = new Slots(jobs, (node) => this.#work(node), {
      idle: () => this.#advance(),
      error: (error) => this.#reject(error),
    });
    this.#priorities = prioritiesOf(nodes);
    this.#progress = new Progress(nodes);
    this.#kept = new KeptProcesses(nodes);
  }

  async run(): Promise<void> {
    const { nodes, signal } = this.#schedule;
    const onAbort = (): void => {
      if (this.#phase === 'main') this.#slots.clear();
      // Not at once: it may be this very scheduler that stops the run, in the middle of a step.
      queueMicrotask(() => this.#look());
    };
    await new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      signal.addEventListener('abort', onAbort);
      this.#slots.together(() => {
        for (const node of nodes) if (node.needs.size === 0) this.#enqueue(node);
      });
      this.#look();
    }).finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Goes on to what comes next when nothing runs and nothing is about to. */
  #look(): void {
    if (this.#slots.idle) this.#advance();
  }

  #advance(): void {
    // It comes here again when they have ended.
    if (this.#phase === 'over' || this.#kept.someEnding) return;
    if (this.#phase === 'main' && this.#mayStart()) {
      if (this.#addHeld()) return;
      // A long-running process that was asked for by the user: until a signal comes, or its end.
      if (this.#kept.someRequested) return;
    }
    if (this.#phase === 'main') {
      this.#phase = 'closing';
      this.#close();
      this.#look();
      return;
    }
    if (this.#phase === 'closing' && this.#schedule.nodes.some(({ finalises }) => finalises.length > 0)) {
      this.#phase = 'late';
      const order = new FinaliserOrder(
        this.#schedule.nodes,
        (node) => this.#progress.isOver(node),
        (node) => this.#want(node),
      );
      this.#order = order;
      this.#slots.together(() => order.begin());
      this.#look();
      return;
    }
    if (this.#order?.releaseNext((node) => this.#progress.isEligible(node))) {
      this.#look();
      return;
    }
    this.#skipRest(() => true);
    if (this.#kept.someEnding) return;
    this.#phase = 'over';
    this.#resolve();
  }

  #mayStart(): boolean {
    if (this.#phase === 'late') return true;
    return this.#phase === 'main' && !this.#failed && !this.#schedule.signal.aborted;
  }

  /** Queues a node that may start as soon as a slot is free. */
  #add(node: TaskNode): void {
    if (this.#mayStart()) this.#slots.add(node, this.#priorities.get(node) ?? 0);
  }

  /** A slot is free for it. */
  #work(node: TaskNode): void | Promise<void> {
    // It may have been left out while it waited for its mutex.
    if (!this.#progress.isWaiting(node) || !this.#mayStart()) return;
    return node.longRunning === undefined ? this.#run(node) : this.#launch(node);
  }

  /** Adds one that was held: the one whose task comes last, since what was made last is taken away first. False: there is none. */
  #addHeld(): boolean {
    if (this.#held.size === 0) return false;
    const places = new Map(this.#schedule.nodes.map((node, place) => [node, place]));
    const latest = ({ finalises }: TaskNode): number =>
      finalises.reduce((last, owner) => Math.max(last, places.get(owner) ?? 0), 0);
    const [first] = [...this.#held].sort((left, right) => latest(right) - latest(left));
    if (first === undefined) return false;
    this.#held.delete(first);
    this.#add(first);
    return true;
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
    this.#kept.started(node, launched.stop);
    const ready = await launched.ready;
    if (ready) {
      this.#progress.set(node, 'up');
      this.#satisfy(node);
      this.#kept.ready(node);
      void launched.ended
        .then((asked) => {
          this.#processEnded(node, asked);
          this.#look();
        })
        .catch(this.#reject);
    } else {
      this.#processEnded(node, false);
    }
  }

  #processEnded(node: TaskNode, asked: boolean): void {
    this.#kept.ended(node);
    if (!asked) this.#fail(node);
    this.#end(node, 'ended');
  }

  #satisfy(node: TaskNode): void {
    const ready = [...node.dependents].filter((dependent) => this.#progress.satisfy(dependent));
    if (ready.length === 0) return;
    this.#slots.together(() => {
      for (const dependent of ready) this.#enqueue(dependent);
    });
  }

  /** Takes a node whose needs are done to where it waits for its turn. */
  #enqueue(node: TaskNode): void {
    if (this.#phase === 'late') {
      if (this.#progress.isWanted(node)) this.#add(node);
    } else if (!node.late) {
      if (node.finalises.length > 0) this.#held.add(node);
      else this.#add(node);
    }
  }

  #fail(node: TaskNode): void {
    const { failureMode, kill } = this.#schedule;
    if (this.#phase === 'main') {
      if (failureMode !== 'continue') {
        this.#failed = true;
        this.#slots.clear();
      }
      if (failureMode === 'kill') kill();
    }
    const rest = dependentsOf(node);
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      if (!this.#progress.isWaiting(next)) continue;
      this.#skip(next, node);
      for (const dependent of dependentsOf(next)) rest.push(dependent);
    }
  }

  #skip(node: TaskNode, because: TaskNode | undefined): void {
    this.#slots.remove(node);
    this.#schedule.skip(node, because);
    this.#end(node, 'skipped');
  }

  #end(node: TaskNode, state: 'ended' | 'skipped'): void {
    this.#progress.set(node, state);
    this.#kept.keeperEnded(node);
    this.#order?.ended(node);
  }

  /** What no finaliser needs will not run any more. */
  #close(): void {
    this.#held.clear();
    const wanted = this.#progress.wantedByFinalisers();
    this.#skipRest((node) => !wanted.has(node));
    this.#kept.dropRequests();
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
    else for (const node of this.#progress.want(finaliser)) this.#add(node);
  }
}

/** The more nodes wait for it, the higher; sorting keeps the order of equals. */
function prioritiesOf(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const counts = countDependents(nodes);
  const of = (node: TaskNode): number => counts.get(node) ?? 0;
  const sorted = [...nodes].sort((left, right) => of(right) - of(left));
  return new Map(sorted.map((node, place) => [node, -place]));
}

/** Those that must not start any more when this node has failed: of a long-running process also those behind a group. */
function dependentsOf(node: TaskNode): TaskNode[] {
  return [...node.dependents, ...(node.longRunning?.keptBy ?? [])];
}
