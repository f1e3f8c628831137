import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { poll } from './pause.ts';
import {
  isGroupAlive,
  isSameProcess,
  type ProcessIdentity,
  processIdentity,
  runningProcesses,
} from './process-identity.ts';

export type ChildKind = {
  /** It has the terminal, and stays in our process group. */
  readonly interactive: boolean;
  /** It starts processes that outlive the run. */
  readonly daemons?: boolean | undefined;
  /** The run, if it holds a lock. */
  readonly holder?: ProcessIdentity | undefined;
};

type Group = {
  readonly owner: string;
  readonly child: ChildProcess;
  /** Target of signals: its process group, or the child alone if it stays in ours. */
  readonly target: number;
  ended: boolean;
};

/** Tells a nested run that it is inside a task of another run. */
const levelVariable = 'TASK_RUNNER_LEVEL';

/** 0 for a run started by a person or CI. */
export function nestingLevel(): number {
  return Number(process.env[levelVariable] ?? 0) || 0;
}

/** Marks every command of a run with a lock, to recognise what a killed run left. */
const holderVariable = 'TASK_RUNNER_HOLDER';

/** Time between SIGTERM and SIGKILL, in milliseconds. */
const termMs = 5000;

/**
 * All child processes of the run. Each leads its own process group, so that signals reach grandchildren (`sh`
 * forwards none); only interactive ones stay in our group, which has the terminal. A group lives as long as its task,
 * since a later command may use what an earlier one left in the background. A process that should outlive the run
 * must leave the group (setsid, like daemons).
 */
export class Children {
  readonly #groups = new Map<number, Group>();
  /**
   * Owners whose groups are excluded from signals to all groups, except SIGKILL: finalisers and their needs continue
   * when the run stops.
   */
  readonly spared = new Set<string>();

  constructor() {
    // For an unplanned exit: `exit` handlers are synchronous, and so is kill.
    process.once('exit', this.kill);
  }

  spawn(
    owner: string,
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    { interactive, daemons = false, holder }: ChildKind,
  ): ChildProcess {
    const mark = daemons ? { [holderVariable]: undefined } : holder && { [holderVariable]: markOf(holder) };
    const env = { ...options.env, [levelVariable]: String(nestingLevel() + 1), ...mark };
    const child = spawn(command, args, { ...options, env, detached: !interactive });
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

  has(owner: string): boolean {
    return this.#of(owner).length > 0;
  }

  get interactive(): boolean {
    return [...this.#groups.values()].some(({ target }) => target > 0);
  }

  /** Sends a signal to groups, by default all that are not spared. */
  #signal(signal: NodeJS.Signals, which?: Which): void {
    sendSignals(
      this.#of(which).map(({ target }) => target),
      signal,
    );
  }

  /**
   * Stops all groups, including spared ones; false if there are none. A child with the terminal only gets SIGTSTP, so
   * that it can restore the terminal.
   */
  suspend(signal: 'SIGTSTP' | 'SIGSTOP'): boolean {
    for (const { target } of this.#groups.values())
      if (target < 0 || signal === 'SIGTSTP') sendSignal(target, signal);
    return this.#groups.size > 0;
  }

  resume(): void {
    for (const { target } of this.#groups.values()) sendSignal(target, 'SIGCONT');
  }

  readonly kill = (): void => {
    for (const { target } of this.#groups.values()) sendSignal(target, 'SIGKILL');
  };

  /** Ends groups, by default all that are not spared: SIGTERM, after 5 s SIGKILL. Returns when none is left. */
  async end(which?: Which): Promise<void> {
    if (await this.#gone(which, 0)) return;
    this.#signal('SIGTERM', which);
    if (await this.#gone(which, termMs)) return;
    this.#signal('SIGKILL', which);
    // A process in uninterruptible sleep survives SIGKILL for a while; no more can be done.
    await this.#gone(which, termMs);
  }

  /** Sends a signal, and ends what is still running after `graceMs`. */
  async stop(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    this.#signal(signal);
    if (!(await this.#gone(undefined, graceMs))) await this.end();
  }

  close(): void {
    process.removeListener('exit', this.kill);
  }

  #of(which: Which | undefined): Group[] {
    return [...this.#groups.values()].filter(({ owner, child }) =>
      which === undefined ? !this.spared.has(owner) : owner === which || child === which,
    );
  }

  #gone(which: Which | undefined, withinMs: number): Promise<boolean> {
    return poll(async () => {
      for (const { child, ended, target } of this.#of(which)) {
        if (ended && !(target < 0 && (await isGroupAlive(-target)))) this.#groups.delete(child.pid ?? 0);
      }
      return this.#of(which).length === 0;
    }, withinMs);
  }
}

/** All groups of an owner, or that of a child. */
type Which = string | ChildProcess;

/** A stopped process handles a signal only after SIGCONT. */
function sendSignals(targets: readonly number[], signal: NodeJS.Signals): void {
  for (const one of [signal, 'SIGCONT'] as const) for (const target of targets) sendSignal(target, one);
}

/** Returns false if the process does not exist. */
function sendSignal(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch {
    return false;
  }
}

/** Milliseconds for an orphan to end after SIGTERM; helm first rolls its release back. */
const orphanMs = 10_000;

const markOf = ({ pid, startTime }: ProcessIdentity): string => `${pid}.${startTime.replaceAll(' ', '_')}`;

/**
 * Ends the commands of a killed run, which got no signal and would run beside the next one. SIGTERM, after 10 s
 * SIGKILL. Returns their number, 0 if the variables of processes are unreadable.
 */
export async function endOrphans(holder: ProcessIdentity): Promise<number> {
  const pids = await markedProcesses(`${holderVariable}=${markOf(holder)}`);
  const found = (await Promise.all(pids.map(processIdentity))).filter((orphan) => orphan !== undefined);
  const gone = (): Promise<boolean> =>
    poll(async () => !(await Promise.all(found.map(isSameProcess))).includes(true), orphanMs);
  sendSignals(
    found.map(({ pid }) => pid),
    'SIGTERM',
  );
  if (await gone()) return found.length;
  for (const orphan of found) if (await isSameProcess(orphan)) sendSignal(orphan.pid, 'SIGKILL');
  // A process in uninterruptible sleep survives SIGKILL for a while; no more can be done.
  await gone();
  return found.length;
}

async function markedProcesses(entry: string): Promise<number[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-axwwE', '-o', 'pid=,command='], {
      maxBuffer: 16 << 20,
    });
    const lines = stdout.split('\n').filter((line) => ` ${line} `.includes(` ${entry} `));
    return lines.map((line) => Number.parseInt(line, 10)).filter((pid) => pid !== process.pid);
  }
  const pids = (await runningProcesses()).map(({ pid }) => pid);
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      return text.split('\0').includes(entry);
    }),
  );
  return pids.filter((pid, index) => marked[index] && pid !== process.pid);
}
