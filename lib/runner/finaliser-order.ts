import type { TaskNode } from './node.ts';

type State = {
  /** Itself, while it has not ended, and its dependents that are not closed. */
  waits: number;
  /** Its finalisers that are not closed. */
  finalisers: number;
  /** Of a finaliser: the tasks it belongs to for which it is too early. */
  owners: number;
  released: boolean;
  closed: boolean;
};

/**
 * When each finaliser may run: once the tasks it belongs to and everything that needs these have ended, the finalisers of
 * what needs them included. So what was made last is taken away first, as by hand. Works in steps of one edge each, and
 * each edge counts once.
 *
 * A node is closed when it has ended, its dependents are closed and then its finalisers are.
 */
export class FinaliserOrder {
  readonly #states = new Map<TaskNode, State>();
  readonly #release: (finaliser: TaskNode) => void;
  /** All finalisers, those of the latest tasks first. */
  readonly #finalisers: readonly TaskNode[];

  /** `release` is called once for each finaliser; nodes are in dependency order. */
  constructor(
    nodes: readonly TaskNode[],
    hasEnded: (node: TaskNode) => boolean,
    release: (finaliser: TaskNode) => void,
  ) {
    this.#release = release;
    this.#finalisers = nodes.filter((node) => node.finalises.length > 0);
    for (const node of nodes) {
      let waits = hasEnded(node) ? 0 : 1;
      for (const dependent of node.dependents) if (counts(dependent, node)) waits += 1;
      const state = {
        finalisers: node.finalisers.length,
        owners: node.finalises.length,
        released: false,
        closed: false,
      };
      this.#states.set(node, { waits, ...state });
    }
  }

  /** Releases those that may run already. */
  begin(): void {
    // Collected first: to close one counts down others, which must not be met again.
    const quiet = [...this.#states].filter(([, { waits }]) => waits === 0);
    for (const [node] of quiet) this.#becomeQuiet(node);
  }

  /** To be called for each node that ends later. */
  ended(node: TaskNode): void {
    this.#countDown(node);
  }

  /**
   * Releases the next finaliser although it is too early for it, when nothing else is left to do: one that is needed by
   * what it waits for, such as a long-running process that it needs itself. False when there is none.
   */
  releaseNext(mayRun: (finaliser: TaskNode) => boolean): boolean {
    const next = this.#finalisers.find((node) => !this.#state(node).released && mayRun(node));
    if (next === undefined) return false;
    this.#tell(next);
    return true;
  }

  #countDown(first: TaskNode): void {
    const state = this.#state(first);
    state.waits -= 1;
    if (state.waits === 0) this.#becomeQuiet(first);
  }

  /** A list of its own instead of recursion: a chain of 10,000 overflows the stack. */
  #becomeQuiet(first: TaskNode): void {
    const closed: TaskNode[] = [];
    const quiet = [first];
    for (let node = quiet.pop(); node !== undefined; node = quiet.pop()) {
      for (const finaliser of node.finalisers) {
        const state = this.#state(finaliser);
        state.owners -= 1;
        if (state.owners === 0) this.#tell(finaliser);
      }
      if (this.#state(node).finalisers === 0) closed.push(node);
      for (let done = closed.pop(); done !== undefined; done = closed.pop()) {
        // A finaliser that is told to run may be left out at once, which closes its task before we get here.
        if (this.#state(done).closed) continue;
        this.#state(done).closed = true;
        for (const needed of done.needs) {
          if (!counts(done, needed)) continue;
          const state = this.#state(needed);
          state.waits -= 1;
          if (state.waits === 0) quiet.push(needed);
        }
        for (const owner of done.finalises) {
          const state = this.#state(owner);
          state.finalisers -= 1;
          if (state.finalisers === 0 && state.waits === 0) closed.push(owner);
        }
      }
    }
  }

  #tell(finaliser: TaskNode): void {
    const state = this.#state(finaliser);
    if (state.released) return;
    state.released = true;
    this.#release(finaliser);
  }

  #state(node: TaskNode): State {
    const state = this.#states.get(node);
    if (state === undefined) throw new Error(`${node.label} is not part of the run`);
    return state;
  }
}

/** A finaliser that needs its own task does not hold itself back. */
function counts(dependent: TaskNode, needed: TaskNode): boolean {
  return !needed.finalisers.includes(dependent);
}
