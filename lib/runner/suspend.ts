import type { Children } from './children.ts';
import { nestingLevel } from './nesting.ts';
import { timerMs } from './pause.ts';

/** What is drawn on the terminal: `hide` takes it away before the process stops, `show` brings it back. */
export type Suspendable = { readonly hide: () => void; readonly show: () => void };

/** What catches SIGTSTP, such as a run inside a task, has so long to stop what it has started itself. */
const graceMs = 100;
/** More than a signal takes to stop a process that has sent it to itself. */
const stopMs = 20;

// Of the whole process, as is the terminal.
const shown = new Set<Suspendable>();
let stoppedMs = 0;

/** Returns what ends it. */
export function onSuspend(view: Suspendable): () => void {
  shown.add(view);
  return () => void shown.delete(view);
}

/**
 * A time limit in milliseconds of running: the time for which Ctrl-Z stopped the run does not count. Returns what ends it, and tells
 * whether it is over: what never gives the event loop a turn is not interrupted.
 */
export function startLimit(milliseconds: number, onLimit: () => void): () => boolean {
  const startedAt = performance.now() - stoppedMs;
  let timer = setTimeout(look, timerMs(milliseconds));
  const leftMs = (): number => startedAt + milliseconds + stoppedMs - performance.now();
  function look(): void {
    // Timers are whole milliseconds.
    if (leftMs() < 1) onLimit();
    else timer = setTimeout(look, timerMs(leftMs()));
  }
  return () => {
    clearTimeout(timer);
    return leftMs() < 0;
  };
}

/**
 * Ctrl-Z (SIGTSTP): stops every child group, then this process, so that the shell has its terminal back; SIGCONT lets all go on.
 * SIGTTIN and SIGTTOU stay as they are: with a handler, what the terminal refuses would be tried again without end.
 */
export class Suspend {
  readonly #children: Children;
  #stopping: NodeJS.Timeout | undefined;

  constructor(children: Children) {
    this.#children = children;
  }

  listen(): void {
    process.on('SIGTSTP', this.#onStop);
    process.on('SIGCONT', this.#onContinue);
  }

  close(): void {
    clearTimeout(this.#stopping);
    process.removeListener('SIGTSTP', this.#onStop);
    process.removeListener('SIGCONT', this.#onContinue);
  }

  readonly #onStop = (): void => {
    if (this.#stopping !== undefined) return;
    for (const view of shown) view.hide();
    // The kernel ignores SIGTSTP in an orphaned process group, which each command's is: only what catches it stops by it.
    if (!this.#children.suspend('SIGTSTP')) this.#stop();
    else this.#stopping = setTimeout(() => this.#stop(), graceMs / 2 ** nestingLevel());
  };

  /** npx stops at once: its shell may let all go on before we have stopped. */
  readonly #onContinue = (): void => {
    if (this.#stopping === undefined) return;
    clearTimeout(this.#stopping);
    this.#goOn();
  };

  #stop(): void {
    this.#children.suspend('SIGSTOP');
    const since = performance.now();
    // Without our handler the signal does what it does to any program: nothing where there is no shell that could let us go on. A run
    // inside a task is let go on by the one around it.
    this.close();
    process.kill(process.pid, nestingLevel() > 0 ? 'SIGSTOP' : 'SIGTSTP');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stopMs);
    this.listen();
    stoppedMs += performance.now() - since;
    this.#goOn();
  }

  #goOn(): void {
    this.#stopping = undefined;
    this.#children.resume();
    for (const view of shown) view.show();
  }
}
