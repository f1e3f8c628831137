import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { isGroupAlive } from './process-identity.ts';

type Group = {
  readonly owner: string;
  readonly child: ChildProcess;
  readonly leads: boolean;
  ended: boolean;
};

/** How long a group that got SIGTERM may live before SIGKILL. */
export const termMs = 5000;
const pollMs = 20;

/**
 * Every child process of the run. Each leads a process group of its own, so that a signal reaches grandchildren too
 * (`sh` passes none on); only interactive ones stay in our group, where the terminal belongs to them.
 *
 * A group lives as long as its task: what one command leaves behind in the background may serve the task's next
 * command, and is ended with the task. A process that shall outlive the run must leave the group (setsid, as daemons do).
 */
export class Children {
  readonly #groups = new Map<number, Group>();
  readonly #spared = new Set<string>();
  readonly #onExit = (): void => this.kill();

  constructor() {
    // The last resort for an end that nobody planned: `exit` handlers are synchronous, and so is kill.
    process.once('exit', this.#onExit);
  }

  spawn(
    owner: string,
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    interactive: boolean,
  ): ChildProcess {
    const child = spawn(command, args, { ...options, detached: !interactive });
    const { pid } = child;
    if (pid === undefined) return child;
    const group: Group = { owner, child, leads: !interactive, ended: false };
    this.#groups.set(pid, group);
    child.once('exit', () => {
      group.ended = true;
      if (!group.leads || !sendSignal(-pid, 0)) this.#groups.delete(pid);
    });
    return child;
  }

  /** Whether there is anything of this owner. */
  has(owner: string): boolean {
    for (const group of this.#groups.values()) if (group.owner === owner) return true;
    return false;
  }

  /** Whether a child has the terminal at the moment. */
  get interactive(): boolean {
    return [...this.#groups.values()].some((group) => !group.leads);
  }

  /**
   * From now on what is meant for all groups leaves those of this owner alone, SIGKILL excepted: finalisers, and what they
   * need, go on when the run is stopped.
   */
  spare(owner: string): void {
    this.#spared.add(owner);
  }

  spareNoMore(owner: string): void {
    this.#spared.delete(owner);
  }

  /** Passes a signal on to the groups of one owner, or to all. */
  signal(signal: NodeJS.Signals, owner?: string): void {
    for (const [pid, group] of this.#of(owner)) sendSignal(group.leads ? -pid : pid, signal);
  }

  /**
   * Stops all groups for a while, also those that are spared. False: there are none. What has the terminal gets SIGTSTP alone, by
   * which it puts the terminal right before it stops.
   */
  suspend(signal: 'SIGTSTP' | 'SIGSTOP'): boolean {
    for (const [pid, group] of this.#groups) {
      if (group.leads) sendSignal(-pid, signal);
      else if (signal === 'SIGTSTP') sendSignal(pid, signal);
    }
    return this.#groups.size > 0;
  }

  /** Lets all groups go on after `suspend`. */
  resume(): void {
    for (const [pid, group] of this.#groups) sendSignal(group.leads ? -pid : pid, 'SIGCONT');
  }

  /** SIGKILL to everything at once. */
  kill(owner?: string): void {
    for (const [pid, group] of this.#groups) {
      if (owner === undefined || group.owner === owner) sendSignal(group.leads ? -pid : pid, 'SIGKILL');
    }
  }

  /** Ends the groups of one owner, or all: SIGTERM, after 5 s SIGKILL. Returns when none is left. */
  async end(owner?: string): Promise<void> {
    if (await this.#gone(owner, 0)) return;
    this.signal('SIGTERM', owner);
    this.signal('SIGCONT', owner);
    if (await this.#gone(owner, termMs)) return;
    this.signal('SIGKILL', owner);
    // A process in uninterruptible sleep survives even that for a while; nobody can do more.
    await this.#gone(owner, termMs);
  }

  /** Ends one child with its group: SIGTERM, after 5 s SIGKILL. */
  async endOne(child: ChildProcess): Promise<void> {
    const { pid } = child;
    if (pid === undefined || this.#groups.get(pid)?.child !== child) return;
    const target = this.#groups.get(pid)?.leads ? -pid : pid;
    sendSignal(target, 'SIGTERM');
    sendSignal(target, 'SIGCONT');
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, termMs);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    if (this.#groups.get(pid)?.child === child) sendSignal(target, 'SIGKILL');
  }

  /** Passes a signal on, and ends what has not ended by itself after `graceMs`. */
  async stop(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    this.signal(signal);
    // A stopped process takes it only after it was told to go on.
    this.signal('SIGCONT');
    if (!(await this.#gone(undefined, graceMs))) await this.end();
  }

  close(): void {
    process.removeListener('exit', this.#onExit);
  }

  #of(owner: string | undefined): [number, Group][] {
    return [...this.#groups].filter(([, group]) =>
      owner === undefined ? !this.#spared.has(group.owner) : group.owner === owner,
    );
  }

  /** Whether all groups are gone within the time. Polls, since nothing tells of the end of a grandchild. */
  async #gone(owner: string | undefined, withinMs: number): Promise<boolean> {
    for (const deadline = Date.now() + withinMs; ; ) {
      for (const [pid, group] of this.#of(owner)) {
        if (group.ended && !(group.leads && (await isGroupAlive(pid)))) this.#groups.delete(pid);
      }
      if (this.#of(owner).length === 0) return true;
      if (Date.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}

function sendSignal(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
