import { setMaxListeners } from 'node:events';
import { type Children, nestingLevel } from './children.ts';
import { type ErrorText, exitCodes, type StopReason, TaskError } from './errors.ts';

// biome-ignore lint/suspicious/noExplicitAny: what an event hands over depends on the event
type Listener = (argument: any) => void;

const handled = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Milliseconds for children to end after the first signal. */
const graceMs = 10_000;
/** The same signal within this time is an echo: npx and tsx forward what the terminal has sent to the whole group. */
const echoMs = 200;
/** Node's exit code if the main file awaits something that never happens. */
const unsettledCode = 13;

/**
 * Stops a run. The first SIGINT, SIGTERM, SIGHUP or SIGQUIT aborts `signal` and is sent to each child group, which is
 * ended after the grace time; a further signal kills what is still running.
 */
export class Stop {
  #controller = new AbortController();
  readonly #hurry = new AbortController();
  /** Aborted by a further signal, which leaves cleanups little time. */
  readonly hurrySignal = this.#hurry.signal;
  readonly #children: Children;
  readonly #listeners = new Map<string, Listener>();
  #ending: Promise<void> | undefined;
  #since = 0;
  reason: StopReason | undefined;
  readonly interrupts = new Set<(gone: Promise<void>) => void>();
  /** Called once, when the run begins to stop. */
  onStop: ((reason: StopReason) => void) | undefined;
  /** Notified when nothing is left to wait for: what has not ended never will. */
  readonly waiting = new Set<() => void>();
  /** Called if the process ends before the run. */
  onCutShort: ((error: TaskError) => void) | undefined;

  constructor(children: Children) {
    this.#children = children;
    setMaxListeners(0, this.#controller.signal, this.#hurry.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  listen(): void {
    for (const signal of handled) this.#on(signal, () => this.#onSignal(signal));
    // Node also raises this for an unhandled rejection.
    this.#on('uncaughtException', (error: unknown) => this.begin({ type: 'crash', error }));
    let idle = false;
    this.#on('beforeExit', () => {
      idle = true;
      for (const idle of [...this.waiting]) idle();
    });
    this.#on('exit', (code: number) => {
      // An unfinished run is never a success.
      if (code === unsettledCode || code % 256 === 0) process.exitCode = exitCodes.failed;
      this.onCutShort?.(new TaskError(cutShort(code, idle)));
    });
  }

  /** Begins to stop; further calls have no effect. */
  begin(reason: StopReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.#since = Date.now();
    this.#controller.abort();
    // A nested run must end its own children before the outer one kills it.
    const within = graceMs / 2 ** nestingLevel();
    const gone = reason.type === 'signal' ? this.#children.stop(reason.signal, within) : this.#children.end();
    this.#ending = gone;
    for (const interrupt of [...this.interrupts]) interrupt(gone);
    this.onStop?.(reason);
  }

  /** Resolves once the children running at `begin` are gone; immediately if nothing was stopped. */
  async ended(): Promise<void> {
    await this.#ending;
  }

  /** Clears a stop caused by the run itself, for the next run of a watch; one from outside stays. */
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
    // As in a shell: a child with the terminal has already received Ctrl-C and Ctrl-\, which are meant for it.
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
