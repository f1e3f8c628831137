import { type Children, nestingLevel } from './children.ts';
import { timerMs } from './pause.ts';

/** Something drawn on the terminal: `hide` removes it before the process stops, `show` restores it. */
type Suspendable = { readonly hide: () => void; readonly show: () => void };

/** Milliseconds for a process that catches SIGTSTP, such as a nested run, to stop its own children. */
const graceMs = 100;
/** More than a process needs to stop by its own signal. */
const stopMs = 20;

// Global, like the terminal.
const shown = new Set<Suspendable>();
let stoppedMs = 0;

/** Returns a function that removes the view. */
export function onSuspend(view: Suspendable): () => void {
  shown.add(view);
  return () => void shown.delete(view);
}

/**
 * A time limit in milliseconds that excludes stops by Ctrl-Z. Returns a function that ends it and tells whether it
 * was exceeded, as a busy event loop is not interrupted.
 */
export function startLimit(milliseconds: number, onLimit: () => void): () => boolean {
  const startedAt = performance.now() - stoppedMs;
  let timer = setTimeout(look, timerMs(milliseconds));
  const leftMs = (): number => startedAt + milliseconds + stoppedMs - performance.now();
  function look(): void {
    // Timers have whole milliseconds.
    if (leftMs() < 1) onLimit();
    else timer = setTimeout(look, timerMs(leftMs()));
  }
  return () => {
    clearTimeout(timer);
    return leftMs() < 0;
  };
}

/**
 * Ctrl-Z (SIGTSTP): stops each child group, then this process, so that the shell gets its terminal back; SIGCONT
 * resumes all. SIGTTIN and SIGTTOU have no handler, with which refused terminal access would be retried forever.
 * Returns a function that ends this.
 */
export function listenForSuspend(children: Children): () => void {
  let stopping: NodeJS.Timeout | undefined;
  const listen = (): void => {
    process.on('SIGTSTP', onStop);
    process.on('SIGCONT', onContinue);
  };
  const close = (): void => {
    clearTimeout(stopping);
    process.removeListener('SIGTSTP', onStop);
    process.removeListener('SIGCONT', onContinue);
  };
  listen();
  return close;

  function onStop(): void {
    if (stopping !== undefined) return;
    for (const view of shown) view.hide();
    // The kernel ignores SIGTSTP in an orphaned process group, such as each command's, unless it is caught.
    if (!children.suspend('SIGTSTP')) stop();
    else stopping = setTimeout(stop, graceMs / 2 ** nestingLevel());
  }

  /** npx stops immediately, so its shell may resume us before we have stopped. */
  function onContinue(): void {
    if (stopping === undefined) return;
    clearTimeout(stopping);
    goOn();
  }

  function stop(): void {
    children.suspend('SIGSTOP');
    const since = performance.now();
    // Without our handler, the signal has its normal effect: none if no shell could resume us. A nested run is
    // resumed by the outer one.
    close();
    process.kill(process.pid, nestingLevel() > 0 ? 'SIGSTOP' : 'SIGTSTP');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stopMs);
    listen();
    stoppedMs += performance.now() - since;
    goOn();
  }

  function goOn(): void {
    stopping = undefined;
    children.resume();
    for (const view of shown) view.show();
  }
}
