import { ChildProcess } from 'node:child_process';
import { exitCodes } from './exit-codes.ts';
import { count } from './format.ts';

/** What a process may still do after its exit code is set: close what closes by itself. */
const graceMs = 2000;
const lookMs = 100;

/** What Node calls the things that keep a process open, in words of those who open them. */
const words: { readonly [resource: string]: string } = {
  Timeout: 'timer',
  Immediate: 'timer',
  FSReqCallback: 'file operation',
  FSReqPromise: 'file operation',
  TCPServerWrap: 'server',
  TCPSocketWrap: 'connection',
  TLSWrap: 'connection',
  UDPWrap: 'socket',
  PipeWrap: 'pipe',
  TTYWrap: 'terminal',
  ProcessWrap: 'child process',
  FSEventWrap: 'file watcher',
  StatWatcher: 'file watcher',
};

let looking: NodeJS.Timeout | undefined;
let onLateError: ((error: unknown) => void) | undefined;

/**
 * Ends the process that has the exit code of its run and stays, since tasks have left timers, servers or the like open, and says
 * what these are. Not before the main file has set `process.exitCode`: until then it has something to do itself. What was written to
 * stdout and stderr is read first. An error that they throw until then is shown by `show`, and ends the process as a failure.
 */
export function endLeftOpen(show: (error: unknown) => void): void {
  let since: number | undefined;
  const look = (): void => {
    // A reader may take its time, as one that shows a page after another.
    const isRead = process.stdout.writableLength + process.stderr.writableLength === 0;
    if (process.exitCode === undefined || !isRead) since = undefined;
    else since ??= performance.now();
    if (since !== undefined && performance.now() - since >= graceMs) void end();
    else wait();
  };
  // It keeps nothing open itself: with nothing else left the process ends before.
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

/** A run begins: the one before was not the last thing to do. */
export function keepOpen(): void {
  clearTimeout(looking);
  if (onLateError !== undefined) process.removeListener('uncaughtException', onLateError);
}

async function end(): Promise<void> {
  const kept = process.getActiveResourcesInfo();
  for (const stream of [process.stdout, process.stderr]) {
    const own = kept.indexOf(`${handleOf(stream)}Wrap`);
    if (own >= 0) kept.splice(own, 1);
  }
  const counts = new Map<string, number>();
  for (const resource of kept) {
    const word = words[resource] ?? resource;
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  // Node does not tell of worker threads.
  const list =
    [...counts].map(([word, number]) => count(number, word, plural(word))).join(', ') || 'a worker';
  const { stderr } = process;
  stderr.write(`warning: ended although something was still open: ${list}\n`);
  stderr.write('  do: close in the task, or in its `onRunEnd`, what it opens\n');
  // Only those that Node waits for: a daemon is left alone by its `unref`.
  for (const handle of activeHandles()) if (handle instanceof ChildProcess) handle.kill();
  await exitWhenRead();
}

async function exitWhenRead(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(drained));
  process.exit();
}

function plural(word: string): string {
  return word.endsWith('s') ? `${word}es` : `${word}s`;
}

function handleOf(stream: object): string | undefined {
  return (stream as { _handle?: object })._handle?.constructor.name;
}

/** Documented only as deprecated; `getActiveResourcesInfo`, which takes its place, tells no pids. */
function activeHandles(): readonly unknown[] {
  return (process as { _getActiveHandles?: () => unknown[] })._getActiveHandles?.() ?? [];
}

/** `process.exit` drops what a pipe has not taken yet. */
function drained(stream: NodeJS.WriteStream): Promise<void> | undefined {
  if (stream.writableLength === 0 || stream.destroyed) return undefined;
  return new Promise((resolve) => stream.write('', () => resolve()));
}
