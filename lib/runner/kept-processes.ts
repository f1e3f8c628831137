import type { TaskNode } from './node.ts';

type Kept = {
  /** Those that have not ended, and the user's request. */
  keepers: number;
  requested: boolean;
  stop: (() => void) | undefined;
  state: 'not started' | 'starting' | 'ready' | 'ending' | 'ended';
};

/** The long-running processes of a run: for whom each is kept, and its end when nobody needs it any more. */
export class KeptProcesses {
  readonly #processes = new Map<TaskNode, Kept>();
  readonly #keptBy = new Map<TaskNode, Kept[]>();
  #ending = 0;

  constructor(nodes: readonly TaskNode[]) {
    for (const node of nodes) {
      if (node.longRunning === undefined) continue;
      const { keptBy, requested } = node.longRunning;
      const keepers = keptBy.size + (requested ? 1 : 0);
      const kept: Kept = { keepers, requested, stop: undefined, state: 'not started' };
      this.#processes.set(node, kept);
      for (const keeper of keptBy) {
        const list = this.#keptBy.get(keeper);
        if (list === undefined) this.#keptBy.set(keeper, [kept]);
        else list.push(kept);
      }
    }
  }

  /** Some were told to end and have not done so. */
  get someEnding(): boolean {
    return this.#ending > 0;
  }

  /** Some are there because the user asked for them. */
  get someRequested(): boolean {
    for (const { requested, state } of this.#processes.values())
      if (requested && state === 'ready') return true;
    return false;
  }

  started(node: TaskNode, stop: () => void): void {
    const kept = this.#kept(node);
    kept.stop = stop;
    kept.state = 'starting';
  }

  /** It has become ready; when nobody needs it (any more) it is ended at once. */
  ready(node: TaskNode): void {
    const kept = this.#kept(node);
    if (kept.state === 'starting') kept.state = 'ready';
    this.#look(kept);
  }

  ended(node: TaskNode): void {
    const kept = this.#kept(node);
    if (kept.state === 'ending') this.#ending -= 1;
    kept.state = 'ended';
  }

  /** A node has ended, or will never run. */
  keeperEnded(node: TaskNode): void {
    for (const kept of this.#keptBy.get(node) ?? []) {
      kept.keepers -= 1;
      this.#look(kept);
    }
  }

  /** The run is stopped: what the user asked for is not kept for that any more. */
  dropRequests(): void {
    for (const kept of this.#processes.values()) {
      if (!kept.requested) continue;
      kept.requested = false;
      kept.keepers -= 1;
      this.#look(kept);
    }
  }

  #look(kept: Kept): void {
    if (kept.keepers > 0 || (kept.state !== 'ready' && kept.state !== 'starting')) return;
    kept.state = 'ending';
    this.#ending += 1;
    kept.stop?.();
  }

  #kept(node: TaskNode): Kept {
    const kept = this.#processes.get(node);
    if (kept === undefined) throw new Error(`${node.label} is no long-running process`);
    return kept;
  }
}
