import { ChildProcess } from 'node:child_process';
import { exitCodes } from './errors.ts';

/** Milliseconds for a process to close everything after its exit code is set. */
const graceMs = 2000;
const lookMs = 100;

let looking: NodeJS.Timeout | undefined;
let onLateError: ((error: unknown) => void) | undefined;

/**
 * Ends the process if tasks left timers, servers or the like open after the run, with `verbose` names them. Waits until
 * the main file has set `process.exitCode` and stdout and stderr are read. An error until then is shown by `show` and
 * makes the process fail.
 */
export function endLeftOpen(show: (error: unknown) => void, verbose = false): void {
  let since: number | undefined;
  const look = (): void => {
    // A reader such as a pager may take its time.
    const isRead = process.stdout.writableLength + process.stderr.writableLength === 0;
    if (process.exitCode === undefined || !isRead) since = undefined;
    else since ??= performance.now();
    if (since !== undefined && performance.now() - since >= graceMs) void end(verbose);
    else wait();
  };
  // Keeps nothing open itself: the process ends sooner if nothing else does.
  const wait = (): void => {
    looking = setTimeout(look, lookMs).unref();
  };
  keepOpen();
  onLateError = (error) => {
    show(error);
    process.exitCode ||= exitCodes.failed;
    void exitWhenRead();
  };
  process.once('uncaughtException', onLateError);
  wait();
}

/** Cancels this because another run begins. */
export function keepOpen(): void {
  clearTimeout(looking);
  if (onLateError !== undefined) process.removeListener('uncaughtException', onLateError);
}

async function end(verbose: boolean): Promise<void> {
  if (verbose) warn();
  // Only children that Node waits for: a daemon is protected by `unref`.
  for (const handle of activeHandles()) if (handle instanceof ChildProcess) handle.kill();
  await exitWhenRead();
}

function warn(): void {
  const kept = process.getActiveResourcesInfo();
  for (const stream of [process.stdout, process.stderr] as { readonly _handle?: object }[]) {
    const own = kept.indexOf(`${stream._handle?.constructor.name}Wrap`);
    if (own >= 0) kept.splice(own, 1);
  }
  // Node does not list worker threads.
  const list = kept.join(', ') || 'a worker';
  process.stderr.write(`warning: ended although something was still open: ${list}\n`);
  process.stderr.write('  do: close in the task, or in its `onRunEnd`, what it opens\n');
}

async function exitWhenRead(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(drained));
  process.exit();
}

/** Deprecated, but its replacement `getActiveResourcesInfo` returns no pids. */
function activeHandles(): readonly unknown[] {
  return (process as { _getActiveHandles?: () => unknown[] })._getActiveHandles?.() ?? [];
}

/** Waits for a pipe, since `process.exit` drops unwritten output. */
function drained(stream: NodeJS.WriteStream): Promise<void> | undefined {
  if (stream.writableLength === 0 || stream.destroyed) return undefined;
  return new Promise((resolve) => stream.write('', () => resolve()));
}
