import type { TaskNode } from './node.ts';

/** `up`: a long-running process that is ready. */
export type State = 'waiting' | 'running' | 'up' | 'ended' | 'skipped';

type Entry = {
  /** Needs that are neither done nor ready. */
  missing: number;
  state: State;
  /** It runs for a finaliser's sake. */
  wanted: boolean;
};

/** How far each node of a run is. */
export class Progress {
  readonly #entries: Map<TaskNode, Entry>;

  constructor(nodes: readonly TaskNode[]) {
    this.#entries = new Map(
      nodes.map((node) => [node, { missing: node.needs.size, state: 'waiting', wanted: false }]),
    );
  }

  set(node: TaskNode, state: State): void {
    this.#entry(node).state = state;
  }

  isWaiting(node: TaskNode): boolean {
    return this.#entry(node).state === 'waiting';
  }

  isOver(node: TaskNode): boolean {
    const { state } = this.#entry(node);
    return state === 'ended' || state === 'skipped';
  }

  isWanted(node: TaskNode): boolean {
    return this.#entry(node).wanted;
  }

  /** One more need is done or ready; true when it was the last that a waiting node lacked. */
  satisfy(node: TaskNode): boolean {
    const entry = this.#entry(node);
    entry.missing -= 1;
    return entry.missing === 0 && entry.state === 'waiting';
  }

  /** Whether it is a finaliser of a task that was started, and has not run yet. */
  isEligible(node: TaskNode): boolean {
    const hasStarted = (owner: TaskNode): boolean =>
      !['waiting', 'skipped'].includes(this.#entry(owner).state);
    return this.isWaiting(node) && node.finalises.some(hasStarted);
  }

  /** The finalisers that will run, what they need, and the finalisers of all these, as far as they have not run. */
  wantedByFinalisers(): Set<TaskNode> {
    const wanted = new Set<TaskNode>();
    for (const node of this.#entries.keys()) if (this.isEligible(node)) wanted.add(node);
    // A set grows while it is walked.
    for (const node of wanted) {
      for (const other of [...node.needs, ...node.finalisers]) if (this.isWaiting(other)) wanted.add(other);
    }
    return wanted;
  }

  /** From now on this finaliser and what it needs may run; returns those of them that nothing keeps any more. */
  want(finaliser: TaskNode): TaskNode[] {
    const ready: TaskNode[] = [];
    const rest = [finaliser];
    for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
      const entry = this.#entry(node);
      if (entry.state !== 'waiting' || entry.wanted) continue;
      entry.wanted = true;
      if (entry.missing === 0) ready.push(node);
      for (const needed of node.needs) rest.push(needed);
    }
    return ready;
  }

  #entry(node: TaskNode): Entry {
    const entry = this.#entries.get(node);
    if (entry === undefined) throw new Error(`${node.label} is not part of the run`);
    return entry;
  }
}
