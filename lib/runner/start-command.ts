import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type * as Zx from 'zx/core';
import { type BackPressure, Capture, type OnePipe } from './child-output.ts';
import type { ChildKind } from './children.ts';
import { exitCodes, signalExitCode, TaskError } from './errors.ts';
import {
  type Command,
  type CommandOptions,
  type CommandOutput,
  commandFailure,
  quote,
  type Shell,
} from './shell.ts';
import { startLimit } from './suspend.ts';

const mebibyte = 1 << 20;
/** Limit of each stream for a command with `quiet`, whose output is wanted as a result. */
const capturedBytes = 64 * mebibyte;
/** For logged output, only the end is kept. */
const keptBytes = mebibyte;

/** Milliseconds of silence after which output held open by a background process is closed. */
const silenceMs = 1000;

/** The shell's view of its task. */
export type ShellHost = {
  readonly interactive: boolean;
  /** A pipe for both streams of the next command, which keeps the order of its lines. Read as stdout. */
  readonly pipe?: OnePipe | undefined;
  /** Throws if the task may start nothing more. */
  readonly check: () => void;
  readonly spawn: (
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    kind: ChildKind,
  ) => ChildProcess;
  /** Ends a child and its group. */
  readonly end: (child: ChildProcess) => void;
  readonly onCommand: (command: string) => void;
  /** What shows the output of the next command. */
  readonly newOutput: () => Record<'stdout' | 'stderr', (chunk: Buffer | string) => void>;
  readonly redact: (text: string) => string;
  /** Slows down children that print faster than we can write. */
  readonly pressure?: BackPressure | undefined;
};

const require = createRequire(import.meta.url);

/** zx's `$`, bound to a task. */
export function createShell(host: ShellHost, options: CommandOptions = {}): Shell {
  function shell(
    first: TemplateStringsArray | CommandOptions,
    ...values: readonly unknown[]
  ): Shell | Command {
    if (!('raw' in first)) return createShell(host, { ...options, ...first });
    return startCommand(host, options, first, values);
  }
  return shell as Shell;
}

/**
 * Starts a command in a shell by zx. Only the run ends its process. zx is loaded with the first command, as it costs
 * more than the whole runner. Throws if the task may start nothing more, and for a missing value.
 */
function startCommand(
  host: ShellHost,
  options: CommandOptions,
  pieces: TemplateStringsArray,
  values: readonly unknown[],
): Command {
  for (const [name, value = ''] of Object.entries(options.env ?? {}))
    if (value.includes('\0')) throw cannotStart(`a command with the variable \`${name}\``);
  host.check();
  checkValues(pieces, values);
  const zx = require('zx/core') as typeof Zx;
  const terminal = host.interactive && !options.quiet && options.input === undefined;
  const output = host.pipe?.write ?? 'pipe';
  const { quiet = false, nothrow = false, timeoutMs } = options;
  const limit = quiet ? capturedBytes : keptBytes;
  const stdout = new Capture(limit);
  const stderr = new Capture(limit);
  const shown = host.newOutput();
  const running: Zx.ProcessPromise = zx.$({
    ...unset,
    ...shellOf(zx),
    cwd: options.cwd ?? process.cwd(),
    // Without a shell around it, bash takes a socket as input for rshd, and reads ~/.bashrc.
    env: { ...(options.env ?? process.env), SHLVL: '1' },
    // zx ignores empty input and would leave stdin open.
    input: options.input || '',
    stdio: terminal ? 'inherit' : [options.input ? 'pipe' : 'ignore', output, output],
    store: { stdout, stderr, stdall: Object.assign([], { push: () => 0 }) },
    quiet,
    nothrow,
    verbose: true,
    detached: !terminal,
    preferLocal: false,
    log: (entry) => {
      if (quiet) return;
      if (entry.kind === 'cmd') host.onCommand(entry.cmd);
      else if ((entry.kind === 'stdout' || entry.kind === 'stderr') && entry.verbose)
        shown[entry.kind](entry.data);
    },
    spawn: ((file: string, args: readonly string[], spawnOptions: SpawnOptions) => {
      if (file.includes('\0')) throw cannotStart('a command');
      // Without zx's signal, which would kill only the shell, and immediately: the run stops commands.
      const { signal: _, ...rest } = spawnOptions;
      const child = host.spawn(file, args, rest, {
        interactive: terminal,
        daemons: options.daemons,
      });
      if (host.pipe !== undefined && child.pid !== undefined) readFrom(host.pipe, child);
      // A child may end before reading everything.
      child.stdin?.on('error', () => {});
      closeAfterExit(child, host);
      return child;
    }) as typeof import('node:child_process').spawn,
  })(pieces, ...values);

  let timedOut = false;
  const endLimit = timeoutMs === undefined ? undefined : startLimit(timeoutMs, onTimeout);
  function onTimeout(): void {
    timedOut = true;
    if (running.child !== undefined) host.end(running.child);
  }

  const settle = ({ exitCode, signal, cause }: Zx.ProcessOutput): CommandOutput => {
    endLimit?.();
    if (cause instanceof TaskError) throw cause;
    const ownCode = signal === null ? (exitCode ?? exitCodes.failed) : signalExitCode(signal);
    const output: CommandOutput = {
      stdout: stdout.text(),
      stderr: stderr.text(),
      exitCode: timedOut ? exitCodes.timeout : ownCode,
      signal,
    };
    const finished = {
      command: running.cmd,
      output,
      startError: cause ?? undefined,
      timeoutMs: timedOut ? timeoutMs : undefined,
      overflow: quiet && (stdout.truncated || stderr.truncated) ? capturedBytes : undefined,
      cwd: options.cwd,
    };
    const failure = nothrow ? undefined : commandFailure(finished, host.redact);
    if (failure !== undefined) throw failure;
    return output;
  };
  return Object.defineProperties(running.then(settle, settle), {
    pid: { get: () => running.pid },
    stdout: { get: () => running.stdout },
    stderr: { get: () => running.stderr },
  }) as Command;
}

/** Sets every option: zx takes missing ones from global defaults, which ZX_… variables change. */
const unset = {
  ac: undefined,
  halt: undefined,
  signal: undefined,
  timeout: undefined,
} as unknown as Partial<Zx.Options>;

/** bash if available; otherwise sh, which has no pipefail. */
function shellOf({ $ }: typeof Zx) {
  const bash = String($.shell).includes('bash');
  const [shell, prefix] = bash ? [$.shell, 'set -euo pipefail;'] : ['/bin/sh', 'set -eu;'];
  return { shell, prefix, postfix: '', quote };
}

/** Delays the child's `close` until this pipe ends, since Node does not know that the child writes to it. */
function readFrom(pipe: OnePipe, child: ChildProcess): void {
  pipe.used = true;
  closeSync(pipe.write);
  const stdout = new Socket({ fd: pipe.read, readable: true, writable: false });
  const emit = child.emit.bind(child);
  const emitLate: typeof child.emit = (event: string, ...values: unknown[]) => {
    if (event !== 'close' || stdout.closed) return emit(event, ...values);
    stdout.once('close', () => emit(event, ...values));
    return true;
  };
  Object.assign(child, { stdout, emit: emitLate });
}

/**
 * Ends a command with its process, even if a background process holds its output open. The output is closed after
 * some silence, so that nothing already written is lost.
 */
function closeAfterExit(child: ChildProcess, { pressure }: ShellHost): void {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null && stream !== undefined);
  // Afterwards, since zx reads it by `pipe`, which resumes a paused stream.
  process.nextTick(() => {
    for (const stream of streams) pressure?.watch(stream);
  });
  child.once('exit', () => {
    const timer = setTimeout(() => {
      // Silent only because the run does not read it; one that is over counts as paused, too.
      if (streams.some((stream) => stream.isPaused() && !stream.destroyed)) timer.refresh();
      else for (const stream of streams) stream.destroy();
    }, silenceMs);
    for (const stream of streams) stream.on('data', () => timer.refresh());
    child.once('close', () => clearTimeout(timer));
  });
}

/** The error, without the value, for what no program can be given. */
function cannotStart(what: string): TaskError {
  const advice = 'leave it out: no program can be given that';
  return new TaskError({ what: `cannot start ${what}`, why: 'it holds a NUL character', advice });
}

/** Throws for `undefined` and `null`, which zx would write into the command as words. */
function checkValues(pieces: readonly string[], values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}
