import type { LongRunningNode, TaskNode } from './node.ts';
import { deferred } from './pause.ts';
import type { Run, Service } from './run.ts';
import { openSlots } from './slots.ts';

/** What is done with nodes. */
export type Work = {
  /**
   * Runs a node and never rejects. False if its dependents must not run. `late` marks finalisers and their needs, to
   * which the run's stop does not apply. A long-running process calls `onReady`, and is done if `unneeded` ended it.
   */
  readonly run: (node: TaskNode, late: boolean, service?: Service) => Promise<boolean>;
  /** Called for a node that will never run, because of another node or because the run stops. */
  readonly skip: (node: TaskNode, because: TaskNode | undefined) => void;
};

type State = 'waiting' | 'running' | 'ended' | 'skipped';

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
  /** Resolves when only finalisers are left to run. */
  const main = deferred<void>();
  const crash = (error: unknown): void => main.resolve(Promise.reject(error));
  // Deferred, since the scheduler itself may be stopping the run in the middle of a step.
  const slots = openSlots(settings.jobs, begin, { idle: () => queueMicrotask(look), error: crash });
  const priorities = prioritiesOf(nodes);
  const states = new Map(nodes.map((node) => [node, 'waiting' as State]));
  const missing = new Map(nodes.map((node) => [node, node.needs.size]));
  /** Running long-running processes, each with the nodes that still keep it alive, and with what ends it. */
  const services = new Map<TaskNode, { readonly keepers: TaskNode[]; readonly unneeded: AbortController }>();
  /** True after a failure, and when only finalisers are left. */
  let closed = false;

  stop.signal.addEventListener('abort', slots.clear);
  slots.together(() => {
    for (const node of nodes) if (node.needs.size === 0) add(node);
  });
  look();
  await main.promise.finally(() => stop.signal.removeEventListener('abort', slots.clear));
  await runFinalisers();

  /** If nothing is running or queued, ends the long-running processes, and then the main part of the run. */
  function look(): void {
    const isEnding = (): boolean => [...services.values()].some(({ unneeded }) => unneeded.signal.aborted);
    if (!slots.isIdle() || isEnding()) return;
    // A requested long-running process runs until a signal or its own end.
    if (mayStart() && [...services.keys()].some(({ longRunning }) => longRunning?.requested)) return;
    closed = true;
    const wanted = wantedLate();
    skipRest((node) => !wanted.has(node));
    endUnneeded(true);
    if (!isEnding()) main.resolve();
  }

  function mayStart(): boolean {
    return !closed && !stop.signal.aborted;
  }

  function add(node: TaskNode): void {
    if (!node.late && mayStart()) slots.add(node, priorities.get(node) ?? 0);
  }

  function begin(node: TaskNode): void | Promise<void> {
    // It may have been skipped while waiting for its mutex.
    if (!isWaiting(node) || !mayStart()) return;
    return node.longRunning === undefined ? run(node, false) : launch(node, node.longRunning);
  }

  async function run(node: TaskNode, late: boolean): Promise<void> {
    states.set(node, 'running');
    if (await work.run(node, late)) satisfy(node);
    else fail(node);
    end(node, 'ended');
  }

  /** Returns once it is ready, or has ended before. */
  async function launch(node: TaskNode, { keptBy }: LongRunningNode): Promise<void> {
    states.set(node, 'running');
    const unneeded = new AbortController();
    services.set(node, { keepers: [...keptBy], unneeded });
    const ready = deferred<void>();
    const onReady = (): void => {
      satisfy(node);
      endUnneeded();
      ready.resolve();
    };
    const ended = work.run(node, false, { onReady, unneeded: unneeded.signal }).then((done) => {
      services.delete(node);
      if (!done) fail(node);
      end(node, 'ended');
      look();
    });
    ended.catch(crash);
    await Promise.race([ready.promise, ended]);
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
    if (!closed && settings.failure !== 'continue') {
      closed = true;
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
    endUnneeded();
  }

  /** Ends the long-running processes that nothing keeps alive; a requested one only with `all`. */
  function endUnneeded(all = false): void {
    const isOver = (node: TaskNode): boolean =>
      states.get(node) === 'ended' || states.get(node) === 'skipped';
    for (const [{ longRunning }, { keepers, unneeded }] of services) {
      for (let last = keepers.at(-1); last !== undefined && isOver(last); last = keepers.at(-1))
        keepers.pop();
      if (keepers.length === 0 && (all || !longRunning?.requested)) unneeded.abort();
    }
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
      for (const node of nodes) if (wanted.has(node) && isWaiting(node)) await run(node, true);
    }
    skipRest(() => true);
  }

  function skipRest(choose: (node: TaskNode) => boolean): void {
    for (const node of nodes) if (isWaiting(node) && choose(node)) skip(node, undefined);
  }
}

/** Nodes that must not start after this one failed; for a long-running process also those behind a group. */
function dependentsOf(node: TaskNode): TaskNode[] {
  return [...node.dependents, ...(node.longRunning?.keptBy ?? [])];
}

/**
 * More dependents, higher priority; of equals, the first in order. Roughly how many nodes depend on each, directly or
 * not: counts paths, up to the number of nodes. `nodes` is in dependency order.
 */
function prioritiesOf(nodes: readonly TaskNode[]): Map<TaskNode, number> {
  const counts = new Map<TaskNode, number>();
  for (const node of nodes.toReversed()) {
    let paths = 0;
    for (const dependent of node.dependents) paths += 1 + (counts.get(dependent) ?? 0);
    counts.set(node, Math.min(paths, nodes.length));
  }
  return new Map(nodes.map((node, place) => [node, (counts.get(node) ?? 0) - place / nodes.length]));
}
