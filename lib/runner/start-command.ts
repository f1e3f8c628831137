import { Capture } from './capture.ts';
import { commandFailure, type FinishedCommand } from './command-failure.ts';
import { checkValues, commandText } from './command-text.ts';
import { TaskError } from './errors.ts';
import { exitCodes, signalExitCode } from './exit-codes.ts';
import { type CommandState, capturedBytes, type Ended, type Launch } from './run-child.ts';
import type { Command, CommandOptions, CommandOutput, ShellHost } from './shell.ts';
import { startDirectly } from './start-directly.ts';
import { startInShell } from './start-in-shell.ts';
import { startLimit } from './suspend.ts';

/**
 * Starts one command: without a shell when it needs none, else by zx. Both ways give the same output, exit code and errors.
 * Throws when the task may start nothing more, and for a value that is missing.
 */
export function startCommand(
  host: ShellHost,
  options: CommandOptions,
  pieces: TemplateStringsArray,
  values: readonly unknown[],
): Command {
  checkOptions(options);
  host.check(options.cwd);
  checkValues(pieces, values);
  const state: CommandState = {
    quiet: options.quiet ?? false,
    nothrow: options.nothrow ?? false,
    timedOut: false,
    child: undefined,
    stdout: new Capture(),
    stderr: new Capture(),
    closed: Promise.resolve(),
  };
  const { text, ended } = start({ host, options, state }, pieces, values);
  const { timeoutMs } = options;
  const endLimit = timeoutMs === undefined ? undefined : startLimit(timeoutMs, onTimeout);
  function onTimeout(): void {
    state.timedOut = true;
    if (state.child !== undefined) host.end(state.child);
  }

  const done = ended
    .finally(() => endLimit?.())
    .then((end) => {
      const finished = finish(text(), end, state, options);
      if (!state.nothrow && hasFailed(finished)) throw commandFailure(finished, host.redact);
      return finished.output;
    });
  const command = done as Command;
  Object.defineProperties(command, {
    pid: { get: () => state.child?.pid },
    stdout: { get: () => state.child?.stdout },
    stderr: { get: () => state.child?.stderr },
    quiet: {
      value: (on = true) => {
        state.quiet = on;
        return command;
      },
    },
    nothrow: {
      value: (on = true) => {
        state.nothrow = on;
        return command;
      },
    },
  });
  return command;
}

function start(
  launch: Launch,
  pieces: TemplateStringsArray,
  values: readonly unknown[],
): { readonly text: () => string; readonly ended: Promise<Ended> } {
  const text = commandText(pieces, values);
  if (text?.includes('\0')) {
    const [program] = text.trimStart().split(/[\s\0]/, 1);
    throw cannotStart(`\`${program}\``, 'its command holds a NUL character');
  }
  const ended = text === undefined ? undefined : startDirectly(text, launch);
  if (text === undefined || ended === undefined) return startInShell(pieces, values, launch);
  return { text: () => text, ended };
}

/** Throws TaskError, without the value, for what the system would refuse or take for something else. */
function checkOptions({ cwd, env = {} }: CommandOptions): void {
  if (cwd?.includes('\0')) throw cannotStart('a command with this `cwd`', 'it holds a NUL character');
  for (const [name, value = ''] of Object.entries(env)) {
    const [known = ''] = name.split(/[=\0]/, 1);
    if (known !== name || value.includes('\0')) {
      const why =
        known === name ? 'its value holds a NUL character' : 'its name holds `=` or a NUL character';
      throw cannotStart(`a command with the variable \`${known}\``, why);
    }
  }
}

function cannotStart(what: string, why: string): TaskError {
  return new TaskError({
    what: `cannot start ${what}`,
    why,
    advice: 'leave it out: no program can be given that',
  });
}

/** A command that takes the end at its time limit well (exit code 0) has failed all the same. */
function hasFailed({ output, startError, timeoutMs, overflow }: FinishedCommand): boolean {
  return (
    output.exitCode !== 0 || startError !== undefined || timeoutMs !== undefined || overflow !== undefined
  );
}

function finish(
  command: string,
  { exitCode, signal, startError }: Ended,
  state: CommandState,
  options: CommandOptions,
): FinishedCommand {
  const { stdout, stderr, timedOut } = state;
  const truncated = stdout.truncated || stderr.truncated;
  const ownCode = signal === null ? (exitCode ?? exitCodes.failed) : signalExitCode(signal);
  const output: CommandOutput = {
    stdout: stdout.text(),
    stderr: stderr.text(),
    exitCode: timedOut ? exitCodes.timeout : ownCode,
    signal,
    truncated,
  };
  return {
    command,
    output,
    startError,
    timeoutMs: timedOut ? options.timeoutMs : undefined,
    overflow: truncated && state.quiet ? capturedBytes : undefined,
    cwd: options.cwd,
  };
}
