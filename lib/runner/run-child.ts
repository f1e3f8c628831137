import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Capture } from './capture.ts';
import type { CommandOptions, ShellHost } from './shell.ts';

/** A command while it runs. */
export type CommandState = {
  quiet: boolean;
  nothrow: boolean;
  timedOut: boolean;
  child: ChildProcess | undefined;
  readonly stdout: Capture;
  readonly stderr: Capture;
  /** The child's streams have ended. Of a pipe that we gave it Node knows nothing: `close` of the child does not wait for it. */
  closed: Promise<unknown>;
};

/** What both ways to start a command need. */
export type Launch = {
  readonly host: ShellHost;
  readonly options: CommandOptions;
  readonly state: CommandState;
};

/** How a command's process ended. */
export type Ended = {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It could not even be started. */
  readonly startError?: Error | undefined;
};

const mebibyte = 1 << 20;
/** Of a command with `quiet` all output is kept, since it is wanted as a result; up to this size of each stream. */
export const capturedBytes = 64 * mebibyte;
/** Of one whose output is in the task's log only the end is kept. */
export const keptBytes = mebibyte;

/** After a command's end, how long its output may stay silent while something in the background holds it open. */
const silenceMs = 1000;

/** Starts the child of a command by the run, and takes care of its streams. A child without a pid could not be started. */
export function runChild(
  { host, options, state }: Launch,
  file: string,
  args: readonly string[],
  spawnOptions: SpawnOptions,
): ChildProcess {
  const terminal = host.interactive && !options.quiet && options.input === undefined;
  const stdin = options.input === undefined ? 'ignore' : 'pipe';
  const output = host.pipe?.write ?? 'pipe';
  const stdio: SpawnOptions['stdio'] = terminal ? 'inherit' : [stdin, output, output];
  const child = host.spawn(
    file,
    args,
    { ...spawnOptions, stdio },
    { interactive: terminal, daemons: options.daemons ?? false },
  );
  state.child = child;
  if (child.pid === undefined) return child;
  if (host.pipe !== undefined) {
    host.pipe.used = true;
    closeSync(host.pipe.write);
    Object.assign(child, { stdout: new Socket({ fd: host.pipe.read, readable: true, writable: false }) });
  }
  feed(child, options.input);
  collect(child, host, state);
  closeAfterExit(child, host, state);
  return child;
}

/** Shows the command, unless it is quiet; the caller may still say `.quiet()`. */
export function echo({ host, state }: Launch, text: string): void {
  queueMicrotask(() => {
    if (!state.quiet) host.onCommand(text);
  });
}

function feed({ stdin }: ChildProcess, input: CommandOptions['input']): void {
  // A child may end without having read all of it.
  stdin?.on('error', () => {});
  if (stdin === null || input === undefined) return;
  if (input instanceof Readable) input.pipe(stdin);
  else stdin.end(input);
}

function collect(child: ChildProcess, host: ShellHost, state: CommandState): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const source = child[stream];
    if (source === null) continue;
    let unfinished = false;
    source.on('data', (chunk: Buffer) => {
      state[stream].push(chunk, state.quiet ? capturedBytes : keptBytes);
      if (state.quiet) return;
      host.onOutput(stream, chunk, state);
      unfinished = chunk.at(-1) !== lineFeed;
    });
    // The last line is shown although nothing ends it.
    source.once('close', () => {
      if (unfinished) host.onOutput(stream, '\n', state);
    });
    if (!state.quiet) host.pressure?.watch(source);
  }
}

const lineFeed = 10;

/**
 * A command is over when its process is, even if something that it left in the background holds its output open. The
 * output is closed once it has been silent for a while, so that nothing already written is lost.
 */
function closeAfterExit(child: ChildProcess, host: ShellHost, state: CommandState): void {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  state.closed = Promise.all(streams.map((stream) => new Promise((done) => stream.once('close', done))));
  child.once('exit', () => {
    if (streams.every((stream) => stream.closed)) return;
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (streams.some((stream) => host.pressure?.holds(stream))) wait();
        else for (const stream of streams) stream.destroy();
      }, silenceMs);
    };
    wait();
    for (const stream of streams) stream.on('data', wait);
    void state.closed.then(() => clearTimeout(timer));
  });
}
