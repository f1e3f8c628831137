import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import type * as Zx from 'zx/core';
import { commandFailure, type FinishedCommand } from './command-failure.ts';
import { exitCodes, signalExitCode } from './exit-codes.ts';
import { quote } from './quote.ts';
import type { Command, CommandOptions, CommandOutput, ShellHost } from './shell.ts';

/** After a command's end, how long its output may stay silent while something in the background holds it open. */
const silenceMs = 1000;

/** Every option is given: zx takes the others from global defaults, which ZX_… variables change. */
const unset = {
  ac: undefined,
  halt: undefined,
  signal: undefined,
  store: undefined,
  timeout: undefined,
} as unknown as Partial<Zx.Options>;

const require = createRequire(import.meta.url);

/** Starts one command by zx and hands every process-related decision of zx over to the run. */
export function startCommand(
  host: ShellHost,
  options: CommandOptions,
  pieces: TemplateStringsArray,
  values: readonly unknown[],
): Command {
  host.check(options.cwd);
  checkValues(pieces, values);
  const zx = require('zx/core') as typeof Zx;
  const run: { timedOut: boolean; child?: ChildProcess } = { timedOut: false };

  const command = zx.$({
    ...unset,
    ...shellOf(zx),
    cwd: options.cwd ?? process.cwd(),
    env: options.env ?? process.env,
    input: options.input as Exclude<CommandOptions['input'], undefined>,
    quiet: options.quiet ?? false,
    nothrow: options.nothrow ?? false,
    verbose: true,
    detached: true,
    preferLocal: false,
    log: (entry) => {
      if (!('verbose' in entry) || !entry.verbose) return;
      if (entry.kind === 'cmd') host.onCommand(entry.cmd);
      else if (entry.kind === 'stdout' || entry.kind === 'stderr') host.onOutput(entry.kind, entry.data, run);
    },
    spawn: ((file: string, args: readonly string[], spawnOptions: SpawnOptions) => {
      // zx's own abort signal is left out: it would kill the shell alone, at once. Stopping is the run's business.
      const { signal: _, ...rest } = spawnOptions;
      const terminal = host.interactive && !options.quiet && options.input === undefined;
      const stdin = options.input === undefined ? 'ignore' : 'pipe';
      const stdio: SpawnOptions['stdio'] = terminal ? 'inherit' : [stdin, 'pipe', 'pipe'];
      run.child = host.spawn(
        file,
        args,
        { ...rest, stdio },
        { interactive: terminal, daemons: options.daemons ?? false },
      );
      run.child.stdin?.on('error', () => {});
      closeAfterExit(run.child);
      return run.child;
    }) as typeof import('node:child_process').spawn,
  })(pieces, ...values);

  const { timeoutMs } = options;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          run.timedOut = true;
          if (run.child !== undefined) host.end(run.child);
        }, timeoutMs);

  // `then` of this one promise is replaced, since await, catch and finally all go through it.
  const wait = command.then.bind(command) as Promise<Zx.ProcessOutput>['then'];
  const then = (
    onDone?: (output: CommandOutput) => unknown,
    onFailed?: (error: unknown) => unknown,
  ): Promise<unknown> =>
    wait(
      (output) => {
        clearTimeout(timer);
        const finished = finish(command.cmd, output, run.timedOut, options);
        // A command that takes the end at its time limit well (exit code 0) has failed all the same.
        if (run.timedOut && !command.isNothrow()) throw commandFailure(finished, host.redact);
        return finished.output;
      },
      (error: unknown) => {
        clearTimeout(timer);
        if (!(error instanceof zx.ProcessOutput)) throw error;
        throw commandFailure(finish(command.cmd, error, run.timedOut, options), host.redact);
      },
    ).then(onDone, onFailed);
  Object.defineProperty(command, 'then', { value: then });
  return command as unknown as Command;
}

function finish(
  command: string,
  output: Zx.ProcessOutput,
  timedOut: boolean,
  options: CommandOptions,
): FinishedCommand {
  const ownCode =
    output.signal === null ? (output.exitCode ?? exitCodes.failed) : signalExitCode(output.signal);
  const exitCode = timedOut ? exitCodes.timeout : ownCode;
  return {
    command,
    output: { stdout: output.stdout, stderr: output.stderr, exitCode, signal: output.signal },
    startError: output.cause ?? undefined,
    timeoutMs: timedOut ? options.timeoutMs : undefined,
    cwd: options.cwd,
  };
}

/** bash where there is one; else plain sh, which has no pipefail. */
function shellOf(zx: typeof Zx): {
  shell: string;
  prefix: string;
  postfix: string;
  quote: (text: string) => string;
} {
  const found = zx.$.shell;
  const bash = typeof found === 'string' && found.includes('bash');
  return {
    shell: bash ? found : '/bin/sh',
    prefix: bash ? 'set -euo pipefail;' : 'set -eu;',
    postfix: '',
    quote,
  };
}

/** zx would write the word `undefined` into the command. */
function checkValues(pieces: TemplateStringsArray, values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}

/**
 * A command is over when its process is, even if something that it left in the background holds its output open. The
 * output is closed once it has been silent for a while, so that nothing already written is lost.
 */
function closeAfterExit(child: ChildProcess): void {
  child.once('exit', () => {
    const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
    const close = (): void => {
      for (const stream of streams) stream.destroy();
    };
    let timer = setTimeout(close, silenceMs);
    const postpone = (): void => {
      clearTimeout(timer);
      timer = setTimeout(close, silenceMs);
    };
    for (const stream of streams) stream.on('data', postpone);
    child.once('close', () => clearTimeout(timer));
  });
}
