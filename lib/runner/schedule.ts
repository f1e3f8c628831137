import { countDependents } from './dependency-order.ts';
import type { FailureMode } from './global-options.ts';
import type { TaskNode } from './node.ts';
import type { Run } from './run.ts';
import { Slots } from './slots.ts';

export type Launched = {
  /** Resolves to true once ready, to false if it ends before. */
  readonly ready: Promise<boolean>;
  /** Resolves to true if `stop` ended it, to false otherwise. */
  readonly ended: Promise<boolean>;
  /** Ends it, even if it is not ready yet. */
  readonly stop: () => void;
};

/** What is done with nodes. */
export type Work = {
  /**
   * Runs a node and never rejects. False if its dependents must not run. `late` marks finalisers and their needs, to
   * which the run's stop does not apply.
   */
  readonly run: (node: TaskNode, late: boolean) => Promise<boolean>;
  readonly launch: (node: TaskNode) => Launched;
  /** Called for a node that will never run, because of another node or because the run stops. */
  readonly skip: (node: TaskNode, because: TaskNode | undefined) => void;
};

/** `up`: a long-running process is ready. */
type State = 'waiting' | 'running' | 'up' | 'ended' | 'skipped';

/**
 * `run` runs all nodes, needs first, and returns when none is running. The graph decides which are ready; p-queue
 * limits how many run and picks the one with the most dependents, then the first in order. Only ready nodes are queued,
 * so waiting ones hold no slot, nor does a long-running process once it is ready. Finalisers run at the end, one by
 * one, in dependency order.
 */
export class Scheduler {
  readonly #nodes: readonly TaskNode[];
  readonly #failureMode: FailureMode;
  readonly #stop: Run['stop'];
  readonly #do: Work;
  readonly #slots: Slots;
  readonly #priorities: ReadonlyMap<TaskNode, number>;
  readonly #states = new Map<TaskNode, State>();
  readonly #missing = new Map<TaskNode, number>();
  /** The nodes that still keep each long-running process alive; a requested one keeps itself. */
  readonly #keepers = new Map<TaskNode, Set<TaskNode>>();
  /** Stops each long-running process that is still wanted. */
  readonly #stops = new Map<TaskNode, () => void>();
  readonly #ending = new Set<TaskNode>();
  #phase: 'main' | 'closing' | 'late' = 'main';
  #failed = false;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor({ graph: { nodes }, settings, stop }: Pick<Run, 'graph' | 'settings' | 'stop'>, work: Work) {
    this.#nodes = nodes;
    this.#failureMode = settings.failure;
    this.#stop = stop;
    this.#do = work;
    this.#slots = new Slots(settings.jobs, (node) => this.#work(node), {
      idle: () => this.#advance(),
      error: (error) => this.#reject(error),
    });
    this.#priorities = prioritiesOf(nodes);
    for (const node of nodes) {
      this.#states.set(node, 'waiting');
      this.#missing.set(node, node.needs.size);
      if (node.longRunning === undefined) continue;
      const { keptBy, requested } = node.longRunning;
      this.#keepers.set(node, new Set(requested ? [...keptBy, node] : keptBy));
    }
  }

  async run(): Promise<void> {
    const { signal } = this.#stop;
    const onAbort = (): void => {
      this.#slots.clear();
      // Deferred, since the scheduler itself may be stopping the run in the middle of a step.
      queueMicrotask(() => this.#look());
    };
    await new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      signal.addEventListener('abort', onAbort);
      this.#slots.together(() => {
        for (const node of this.#nodes) if (node.needs.size === 0) this.#add(node);
      });
      this.#look();
    }).finally(() => signal.removeEventListener('abort', onAbort));
    await this.#runFinalisers();
  }

  /** Starts the next phase if nothing is running or queued. */
  #look(): void {
    if (this.#slots.idle) this.#advance();
  }

  #advance(): void {
    // Called again when they have ended.
    if (this.#phase === 'late' || this.#ending.size > 0) return;
    if (this.#phase === 'closing') {
      this.#phase = 'late';
      this.#resolve();
      return;
    }
    const requested = this.#nodes.filter(({ longRunning }) => longRunning?.requested);
    // A requested long-running process runs until a signal or its own end.
    if (this.#mayStart() && requested.some((node) => this.#states.get(node) === 'up')) return;
    this.#phase = 'closing';
    const wanted = this.#wantedLate();
    this.#skipRest((node) => !wanted.has(node));
    for (const node of requested) this.#lose(node, node);
    this.#look();
  }

  #mayStart(): boolean {
    return this.#phase === 'main' && !this.#failed && !this.#stop.signal.aborted;
  }

  #add(node: TaskNode): void {
    if (!node.late && this.#mayStart()) this.#slots.add(node, this.#priorities.get(node) ?? 0);
  }

  #work(node: TaskNode): void | Promise<void> {
    // It may have been skipped while waiting for its mutex.
    if (!this.#isWaiting(node) || !this.#mayStart()) return;
    return node.longRunning === undefined ? this.#run(node) : this.#launch(node);
  }

  async #run(node: TaskNode): Promise<void> {
    this.#states.set(node, 'running');
    const done = await this.#do.run(node, this.#phase === 'late');
    if (done) this.#satisfy(node);
    else this.#fail(node);
    this.#end(node, 'ended');
  }

  async #launch(node: TaskNode): Promise<void> {
    this.#states.set(node, 'running');
    const launched = this.#do.launch(node);
    this.#stops.set(node, launched.stop);
    const ready = await launched.ready;
    if (ready) {
      this.#states.set(node, 'up');
      this.#satisfy(node);
      this.#stopUnkept(node);
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
    this.#stops.delete(node);
    this.#ending.delete(node);
    if (!asked) this.#fail(node);
    this.#end(node, 'ended');
  }

  #satisfy(node: TaskNode): void {
    const ready = [...node.dependents].filter((dependent) => {
      const missing = (this.#missing.get(dependent) ?? 0) - 1;
      this.#missing.set(dependent, missing);
      return missing === 0 && this.#isWaiting(dependent);
    });
    if (ready.length === 0) return;
    this.#slots.together(() => {
      for (const dependent of ready) this.#add(dependent);
    });
  }

  #fail(node: TaskNode): void {
    // Not if a finaliser fails, since the others still run.
    if (this.#phase === 'main' && this.#failureMode !== 'continue') {
      this.#failed = true;
      this.#slots.clear();
      if (this.#failureMode === 'kill') this.#stop.begin({ type: 'failure' });
    }
    const rest = dependentsOf(node);
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      if (!this.#isWaiting(next)) continue;
      this.#skip(next, node);
      for (const dependent of dependentsOf(next)) rest.push(dependent);
    }
  }

  #skip(node: TaskNode, because: TaskNode | undefined): void {
    this.#slots.remove(node);
    this.#do.skip(node, because);
    this.#end(node, 'skipped');
  }

  #end(node: TaskNode, state: 'ended' | 'skipped'): void {
    this.#states.set(node, state);
    for (const kept of this.#keepers.keys()) this.#lose(kept, node);
  }

  /** Removes one keeper of a long-running process and stops it after the last. */
  #lose(node: TaskNode, keeper: TaskNode): void {
    if (this.#keepers.get(node)?.delete(keeper)) this.#stopUnkept(node);
  }

  #stopUnkept(node: TaskNode): void {
    const stop = this.#stops.get(node);
    if (stop === undefined || this.#keepers.get(node)?.size !== 0) return;
    this.#stops.delete(node);
    this.#ending.add(node);
    stop();
  }

  #isWaiting(node: TaskNode): boolean {
    return this.#states.get(node) === 'waiting';
  }

  /** Finalisers never need long-running processes, but their needs may come after one. */
  #canBeLate(node: TaskNode): boolean {
    return this.#isWaiting(node) && node.longRunning === undefined;
  }

  /** True for a pending finaliser of a task that was started. */
  #isEligible(node: TaskNode): boolean {
    const hasStarted = (owner: TaskNode): boolean =>
      !['waiting', 'skipped'].includes(this.#states.get(owner) ?? 'waiting');
    return this.#isWaiting(node) && [...node.finalises].some(hasStarted);
  }

  /** Finalisers that have to run, their needs, and the finalisers of all these. */
  #wantedLate(): Set<TaskNode> {
    const wanted = new Set(this.#nodes.filter((node) => this.#isEligible(node)));
    // Sets can grow while they are iterated.
    for (const node of wanted) {
      for (const other of [...node.needs, ...node.finalisers]) if (this.#canBeLate(other)) wanted.add(other);
    }
    return wanted;
  }

  async #runFinalisers(): Promise<void> {
    for (const finaliser of this.#nodes) {
      if (!this.#isEligible(finaliser)) continue;
      const wanted = new Set([finaliser]);
      for (const node of wanted)
        for (const needed of node.needs) if (this.#canBeLate(needed)) wanted.add(needed);
      for (const node of this.#nodes) if (wanted.has(node) && this.#isWaiting(node)) await this.#run(node);
    }
    this.#skipRest(() => true);
  }

  #skipRest(choose: (node: TaskNode) => boolean): void {
    for (const node of this.#nodes) {
      if (this.#isWaiting(node) && choose(node)) this.#skip(node, undefined);
    }
  }
}

/** More dependents, higher priority; sorting keeps the order of equals. */
function prioritiesOf(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const counts = countDependents(nodes);
  const of = (node: TaskNode): number => counts.get(node) ?? 0;
  const sorted = [...nodes].sort((left, right) => of(right) - of(left));
  return new Map(sorted.map((node, place) => [node, -place]));
}

/** Nodes that must not start after this one failed; for a long-running process also those behind a group. */
function dependentsOf(node: TaskNode): TaskNode[] {
  return [...node.dependents, ...(node.longRunning?.keptBy ?? [])];
}
