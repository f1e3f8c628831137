import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { poll } from './pause.ts';
import { isGroupAlive } from './process-identity.ts';

type Group = {
  readonly owner: string;
  readonly child: ChildProcess;
  /** Whom signals go to: its group, or the child alone where it stays in ours. */
  readonly target: number;
  ended: boolean;
};

/** Time between SIGTERM and SIGKILL, in milliseconds. */
const termMs = 5000;

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
    const group: Group = { owner, child, target: interactive ? pid : -pid, ended: false };
    this.#groups.set(pid, group);
    child.once('exit', () => {
      group.ended = true;
      if (interactive || !sendSignal(-pid, 0)) this.#groups.delete(pid);
    });
    return child;
  }

  /** True while this owner has a process. */
  has(owner: string): boolean {
    for (const group of this.#groups.values()) if (group.owner === owner) return true;
    return false;
  }

  /** True while a child has the terminal. */
  get interactive(): boolean {
    return [...this.#groups.values()].some(({ target }) => target > 0);
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

  /** Passes a signal on to some groups, by default to all that are not spared. A stopped process takes it only after SIGCONT. */
  #signal(signal: NodeJS.Signals, which?: Which): void {
    for (const { target } of this.#of(which)) sendSignal(target, signal);
    for (const { target } of this.#of(which)) sendSignal(target, 'SIGCONT');
  }

  /**
   * Stops all groups, spared ones included; false if there are none. A child that has the terminal only gets SIGTSTP: it
   * restores the terminal before it stops.
   */
  suspend(signal: 'SIGTSTP' | 'SIGSTOP'): boolean {
    for (const { target } of this.#groups.values())
      if (target < 0 || signal === 'SIGTSTP') sendSignal(target, signal);
    return this.#groups.size > 0;
  }

  /** Lets all groups go on after `suspend`. */
  resume(): void {
    for (const { target } of this.#groups.values()) sendSignal(target, 'SIGCONT');
  }

  /** SIGKILL to everything at once. */
  kill(): void {
    for (const { target } of this.#groups.values()) sendSignal(target, 'SIGKILL');
  }

  /** Ends some groups, by default all that are not spared: SIGTERM, after 5 s SIGKILL. Returns when none is left. */
  async end(which?: Which): Promise<void> {
    if (await this.#gone(which, 0)) return;
    this.#signal('SIGTERM', which);
    if (await this.#gone(which, termMs)) return;
    this.#signal('SIGKILL', which);
    // A process in uninterruptible sleep survives even that for a while; nobody can do more.
    await this.#gone(which, termMs);
  }

  /** Passes a signal on, and ends what has not ended by itself after `graceMs`. */
  async stop(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    this.#signal(signal);
    if (!(await this.#gone(undefined, graceMs))) await this.end();
  }

  close(): void {
    process.removeListener('exit', this.#onExit);
  }

  #of(which: Which | undefined): Group[] {
    return [...this.#groups.values()].filter(({ owner, child }) =>
      which === undefined ? !this.#spared.has(owner) : owner === which || child === which,
    );
  }

  /** True when these groups are gone within the time. */
  #gone(which: Which | undefined, withinMs: number): Promise<boolean> {
    return poll(async () => {
      for (const { child, ended, target } of this.#of(which)) {
        if (ended && !(target < 0 && (await isGroupAlive(-target)))) this.#groups.delete(child.pid ?? 0);
      }
      return this.#of(which).length === 0;
    }, withinMs);
  }
}

/** The groups of one owner, or that of one child. */
type Which = string | ChildProcess;

/** False for a process that has gone. */
export function sendSignal(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}
