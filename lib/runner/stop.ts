import { setMaxListeners } from 'node:events';
import type { Children } from './children.ts';
import { type ErrorText, TaskError } from './errors.ts';
import { exitCodes, type StopReason } from './exit-codes.ts';
import { nestingLevel } from './nesting.ts';

// biome-ignore lint/suspicious/noExplicitAny: what an event hands over depends on the event
type Listener = (argument: any) => void;

const handled = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** After the first signal, how long children may take to end by themselves. */
const graceMs = 10_000;
/**
 * The same signal again within this time is an echo: npx and tsx pass on what the terminal has already sent to the
 * whole group.
 */
const echoMs = 200;
/** Node's own exit code when the main file awaits what never comes. */
const unsettledCode = 13;

/**
 * When and how a run is stopped. The first SIGINT, SIGTERM, SIGHUP or SIGQUIT aborts `signal`, goes on to every child group, and
 * after the grace time the groups are ended; each further signal kills what still runs.
 */
export class Stop {
  #controller = new AbortController();
  readonly #hurry = new AbortController();
  readonly #children: Children;
  readonly #listeners = new Map<string, Listener>();
  readonly #graceMs: number;
  #ending: Promise<void> | undefined;
  #since = 0;
  /** Why the run stops; undefined while it does not. */
  reason: StopReason | undefined;
  /** Called once, when the run begins to stop. */
  onStop: ((reason: StopReason) => void) | undefined;
  /** What is told that nothing is left to wait for: what has not ended by then never will. */
  readonly waiting = new Set<{ readonly idle: () => void }>();
  /** Called when the process ends although the run has not. */
  onCutShort: ((error: TaskError) => void) | undefined;

  constructor(children: Children) {
    this.#children = children;
    // A run inside a task of another run must be through with its own children before the outer one kills it.
    this.#graceMs = graceMs / 2 ** nestingLevel();
    setMaxListeners(0, this.#controller.signal, this.#hurry.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** A further signal came: cleanups get little time. */
  get hurried(): boolean {
    return this.#hurry.signal.aborted;
  }

  /** Aborted by a further signal. */
  get hurrySignal(): AbortSignal {
    return this.#hurry.signal;
  }

  listen(): void {
    for (const signal of handled) this.#on(signal, () => this.#onSignal(signal));
    // Node raises this one for a rejected promise that nobody handles, too.
    this.#on('uncaughtException', (error: unknown) => this.begin({ type: 'crash', error }));
    let idle = false;
    this.#on('beforeExit', () => {
      idle = true;
      for (const waiting of [...this.waiting]) waiting.idle();
    });
    this.#on('exit', (code: number) => {
      // It did not do what it was asked for: never a success.
      if (code === unsettledCode || code % 256 === 0) process.exitCode = exitCodes.failed;
      this.onCutShort?.(new TaskError(cutShort(code, idle)));
    });
  }

  /** Starts to stop; further calls change nothing. */
  begin(reason: StopReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.#since = Date.now();
    this.#controller.abort();
    this.#ending =
      reason.type === 'signal' ? this.#children.stop(reason.signal, this.#graceMs) : this.#children.end();
    this.onStop?.(reason);
  }

  /** Resolves when the children that ran at the time of `begin` are gone; at once when nothing was stopped. */
  async ended(): Promise<void> {
    await this.#ending;
  }

  /** Forgets a stop that the run itself brought about, for the next run of a watch; one from outside stays. */
  recover(): void {
    if (this.reason?.type !== 'failure' && this.reason?.type !== 'change') return;
    this.reason = undefined;
    this.#ending = undefined;
    this.#controller = new AbortController();
    setMaxListeners(0, this.#controller.signal);
  }

  close(): void {
    for (const [name, listener] of this.#listeners) process.removeListener(name, listener);
    this.#listeners.clear();
  }

  #on(name: string, listener: Listener): void {
    this.#listeners.set(name, listener);
    process.on(name, listener);
  }

  #onSignal(signal: NodeJS.Signals): void {
    // As in a shell: while a child has the terminal, Ctrl-C and Ctrl-\ are meant for it, and it has received them.
    const isKey = signal === 'SIGINT' || signal === 'SIGQUIT';
    if (isKey && this.#children.interactive && process.stdin.isTTY) return;
    if (this.reason === undefined) {
      this.begin({ type: 'signal', signal });
      return;
    }
    const echo =
      this.reason.type === 'signal' && this.reason.signal === signal && Date.now() - this.#since < echoMs;
    if (echo) return;
    this.#hurry.abort();
    this.#children.kill();
  }
}

function cutShort(code: number, idle: boolean): ErrorText {
  const what = idle ? 'nothing is left to wait for' : `\`process.exit(${code})\` was called`;
  return {
    what: `${what}, but the run has not ended`,
    why: 'what was still to come, cleanups too, did not run',
    advice: idle
      ? 'look for a promise that never settles'
      : 'let the task return or throw: a TaskError has an exit code of its own',
  };
}
