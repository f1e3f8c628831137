import { countDependents } from './dependency-order.ts';
import type { TaskNode } from './node.ts';
import type { Run } from './run.ts';
import { openSlots } from './slots.ts';

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
 * Runs all nodes, needs first, and returns when none is running. The graph decides which are ready; p-queue limits how
 * many run and picks the one with the most dependents, then the first in order. Only ready nodes are queued, so waiting
 * ones hold no slot, nor does a long-running process once it is ready. Finalisers run at the end, one by one, in
 * dependency order.
 */
export async function runScheduled(
  { graph: { nodes }, settings, stop }: Pick<Run, 'graph' | 'settings' | 'stop'>,
  work: Work,
): Promise<void> {
  let resolve = (): void => {};
  let reject: (error: unknown) => void = () => {};
  const slots = openSlots(settings.jobs, begin, { idle: advance, error: (error) => reject(error) });
  const priorities = prioritiesOf(nodes);
  const states = new Map(nodes.map((node) => [node, 'waiting' as State]));
  const missing = new Map(nodes.map((node) => [node, node.needs.size]));
  /** The nodes that still keep each long-running process alive; a requested one keeps itself. */
  const keepers = new Map<TaskNode, Set<TaskNode>>();
  for (const node of nodes) {
    if (node.longRunning === undefined) continue;
    const { keptBy, requested } = node.longRunning;
    keepers.set(node, new Set(requested ? [...keptBy, node] : keptBy));
  }
  /** Stops each long-running process that is still wanted. */
  const stops = new Map<TaskNode, () => void>();
  const ending = new Set<TaskNode>();
  let phase: 'main' | 'closing' | 'late' = 'main';
  let failed = false;

  const onAbort = (): void => {
    slots.clear();
    // Deferred, since the scheduler itself may be stopping the run in the middle of a step.
    queueMicrotask(look);
  };
  await new Promise<void>((done, fail) => {
    resolve = done;
    reject = fail;
    stop.signal.addEventListener('abort', onAbort);
    slots.together(() => {
      for (const node of nodes) if (node.needs.size === 0) add(node);
    });
    look();
  }).finally(() => stop.signal.removeEventListener('abort', onAbort));
  await runFinalisers();

  /** Starts the next phase if nothing is running or queued. */
  function look(): void {
    if (slots.isIdle()) advance();
  }

  function advance(): void {
    // Called again when they have ended.
    if (phase === 'late' || ending.size > 0) return;
    if (phase === 'closing') {
      phase = 'late';
      resolve();
      return;
    }
    const requested = nodes.filter(({ longRunning }) => longRunning?.requested);
    // A requested long-running process runs until a signal or its own end.
    if (mayStart() && requested.some((node) => states.get(node) === 'up')) return;
    phase = 'closing';
    const wanted = wantedLate();
    skipRest((node) => !wanted.has(node));
    for (const node of requested) lose(node, node);
    look();
  }

  function mayStart(): boolean {
    return phase === 'main' && !failed && !stop.signal.aborted;
  }

  function add(node: TaskNode): void {
    if (!node.late && mayStart()) slots.add(node, priorities.get(node) ?? 0);
  }

  function begin(node: TaskNode): void | Promise<void> {
    // It may have been skipped while waiting for its mutex.
    if (!isWaiting(node) || !mayStart()) return;
    return node.longRunning === undefined ? run(node) : launch(node);
  }

  async function run(node: TaskNode): Promise<void> {
    states.set(node, 'running');
    const done = await work.run(node, phase === 'late');
    if (done) satisfy(node);
    else fail(node);
    end(node, 'ended');
  }

  async function launch(node: TaskNode): Promise<void> {
    states.set(node, 'running');
    const launched = work.launch(node);
    stops.set(node, launched.stop);
    if (!(await launched.ready)) {
      processEnded(node, false);
      return;
    }
    states.set(node, 'up');
    satisfy(node);
    stopUnkept(node);
    void launched.ended
      .then((asked) => {
        processEnded(node, asked);
        look();
      })
      .catch(reject);
  }

  function processEnded(node: TaskNode, asked: boolean): void {
    stops.delete(node);
    ending.delete(node);
    if (!asked) fail(node);
    end(node, 'ended');
  }

  function satisfy(node: TaskNode): void {
    const ready = [...node.dependents].filter((dependent) => {
      const left = (missing.get(dependent) ?? 0) - 1;
      missing.set(dependent, left);
      return left === 0 && isWaiting(dependent);
    });
    if (ready.length > 0) slots.together(() => ready.forEach(add));
  }

  function fail(node: TaskNode): void {
    // Not if a finaliser fails, since the others still run.
    if (phase === 'main' && settings.failure !== 'continue') {
      failed = true;
      slots.clear();
      if (settings.failure === 'kill') stop.begin({ type: 'failure' });
    }
    const rest = dependentsOf(node);
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      if (!isWaiting(next)) continue;
      skip(next, node);
      for (const dependent of dependentsOf(next)) rest.push(dependent);
    }
  }

  function skip(node: TaskNode, because: TaskNode | undefined): void {
    slots.remove(node);
    work.skip(node, because);
    end(node, 'skipped');
  }

  function end(node: TaskNode, state: 'ended' | 'skipped'): void {
    states.set(node, state);
    for (const kept of keepers.keys()) lose(kept, node);
  }

  /** Removes one keeper of a long-running process and stops it after the last. */
  function lose(node: TaskNode, keeper: TaskNode): void {
    if (keepers.get(node)?.delete(keeper)) stopUnkept(node);
  }

  function stopUnkept(node: TaskNode): void {
    const end = stops.get(node);
    if (end === undefined || keepers.get(node)?.size !== 0) return;
    stops.delete(node);
    ending.add(node);
    end();
  }

  function isWaiting(node: TaskNode): boolean {
    return states.get(node) === 'waiting';
  }

  /** Finalisers never need long-running processes, but their needs may come after one. */
  function canBeLate(node: TaskNode): boolean {
    return isWaiting(node) && node.longRunning === undefined;
  }

  /** True for a pending finaliser of a task that was started. */
  function isEligible(node: TaskNode): boolean {
    const hasStarted = (owner: TaskNode): boolean => !isWaiting(owner) && states.get(owner) !== 'skipped';
    return isWaiting(node) && [...node.finalises].some(hasStarted);
  }

  /** Finalisers that have to run, their needs, and the finalisers of all these. */
  function wantedLate(): Set<TaskNode> {
    const wanted = new Set(nodes.filter(isEligible));
    // Sets can grow while they are iterated.
    for (const node of wanted) {
      for (const other of [...node.needs, ...node.finalisers]) if (canBeLate(other)) wanted.add(other);
    }
    return wanted;
  }

  async function runFinalisers(): Promise<void> {
    for (const finaliser of nodes) {
      if (!isEligible(finaliser)) continue;
      const wanted = new Set([finaliser]);
      for (const node of wanted) for (const needed of node.needs) if (canBeLate(needed)) wanted.add(needed);
      for (const node of nodes) if (wanted.has(node) && isWaiting(node)) await run(node);
    }
    skipRest(() => true);
  }

  function skipRest(choose: (node: TaskNode) => boolean): void {
    for (const node of nodes) if (isWaiting(node) && choose(node)) skip(node, undefined);
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
