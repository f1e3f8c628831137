import type { Readable } from 'node:stream';
import { type ErrorText, exitCodes, freeSpace, MissingToolError, TaskError } from './errors.ts';
import { formatDuration } from './format.ts';
import { ownBeginning } from './output/text.ts';

/** Options of a command: `$({ cwd, env })`. */
export type CommandOptions = {
  readonly cwd?: string | undefined;
  /** The child's complete environment. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** The child's stdin. Default: empty. */
  readonly input?: string | Buffer | Readable | undefined;
  /**
   * Captures the output without logging it, up to 64 MiB of each stream; a command that prints more fails (with
   * `nothrow` only the end is returned).
   */
  readonly quiet?: boolean | undefined;
  /** Returns the output of a failed command instead of throwing. */
  readonly nothrow?: boolean | undefined;
  /** Milliseconds, after which the command is ended (SIGTERM, 5 s, SIGKILL) and fails with exit code 124. */
  readonly timeoutMs?: number | undefined;
  /**
   * The command starts processes that outlive the run, by leaving its group. If this run is killed, the next one does
   * not end them, nor the command itself.
   */
  readonly daemons?: boolean | undefined;
};

/** Output and exit code of a command. */
export type CommandOutput = {
  /** Complete with `quiet`; of logged output the last MiB, from the start of a line. */
  readonly stdout: string;
  readonly stderr: string;
  /** 128 + n for a command ended by signal n. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
};

/**
 * A running command; await it for its output. Omits parts of zx's promise that are unsafe here: `.json()`, `.text()`
 * and `.lines()` mix in stderr, and `.pipe()` would start a child unknown to the run (write `a | b`).
 */
export type Command = Promise<CommandOutput> & {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
};

/** Starts commands: as a template, or called with options for a shell that has them. */
export type Shell = {
  (pieces: TemplateStringsArray, ...values: readonly unknown[]): Command;
  (options: CommandOptions): Shell;
};

/** Quotes a word for any POSIX shell; zx's form (`$'…'`) needs bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

type FinishedCommand = {
  readonly command: string;
  readonly output: CommandOutput;
  /** Set if the command could not be started. */
  readonly startError: Error | undefined;
  /** Set if the command exceeded its time limit. */
  readonly timeoutMs: number | undefined;
  /** Set if it printed more than these bytes although all of it is needed. */
  readonly overflow: number | undefined;
  readonly cwd: string | undefined;
};

const longestCommand = 100;
const longestLine = 500;

/**
 * The error of a failed command, for users; undefined if it has not failed. At its time limit, it has even with code 0.
 */
export function commandFailure(
  finished: FinishedCommand,
  redact: (text: string) => string,
): TaskError | undefined {
  const { output, startError, timeoutMs, overflow } = finished;
  if (output.exitCode === 0 && (startError ?? timeoutMs ?? overflow) === undefined) return undefined;
  const shown = `\`${shorten(redact(finished.command))}\``;
  const said = output.stderr || output.stdout;
  const reason = reasonIn(output.stderr) ?? reasonIn(output.stdout) ?? '';
  const why = redact(ownBeginning(reason, longestLine)) || undefined;
  const fail = (how: string, more: Partial<ErrorText>): TaskError =>
    new TaskError({ what: `${shown} ${how}`, why: timeoutMs === undefined ? why : lastSaid(why), ...more });
  if (timeoutMs !== undefined)
    return fail(`did not end within ${formatDuration(timeoutMs)}`, { exitCode: exitCodes.timeout });
  if (startError !== undefined)
    return fail('could not be started', { why: startReason(startError, finished.cwd), cause: startError });
  if (overflow !== undefined && output.exitCode === 0) {
    return fail(`printed more than ${overflow >> 20} MiB`, {
      why: 'its output is wanted as a result, and only the end of it was kept',
      advice: 'send it to a file (`… > file`), or let it print less',
    });
  }
  const missing = missingTool(shown, output.exitCode, said);
  if (missing !== undefined) return missing;
  const { exitCode, signal } = output;
  return fail(signal === null ? `failed with exit code ${exitCode}` : `was ended by ${signal}`, {
    advice: spaceAdvice(said),
    exitCode,
  });
}

/** What was printed last before a time limit, which need not be the reason. */
export const lastSaid = (line?: string): string =>
  line === undefined ? 'it said nothing' : `it last said: ${line}`;

/** The error of a program that the shell did not find, by what it `said`; undefined for any other failure. */
export function missingTool(command: string, exitCode: number, said: string): MissingToolError | undefined {
  const tool = /(?:^|[\s:])([^\s:]+): (?:command )?not found\s*$/m.exec(said)?.[1];
  if (exitCode !== exitCodes.missingTool || tool === undefined) return undefined;
  return new MissingToolError({
    what: `\`${tool}\` is not installed`,
    why: `${command} needs it`,
    advice: `install \`${tool}\` or put it on PATH`,
  });
}

function startReason(error: Error, cwd: string | undefined): string {
  const { code } = error as NodeJS.ErrnoException;
  // Node reports a missing working directory as a missing shell.
  if (code === 'ENOENT' && cwd !== undefined) return `is there a folder ${cwd}?`;
  return code === 'E2BIG'
    ? 'it is longer than the system takes: pass what is long by `input`'
    : error.message;
}

/** Long options for cluster and files, which come before the interesting words. */
const places =
  / --(?:kubeconfig|context|kube-context|state-values-file|state-values-set-string)[ =](?:'[^']*'|\S+)/g;

/** The command on one line without these options, cut at the end. */
export function shorten(command: string): string {
  const line = command.trim().replace(/\s+/g, ' ').replace(places, '');
  return line.length > longestCommand ? `${line.slice(0, longestCommand - 2)} …` : line;
}

/** A crashed Go program's trace, which tells users nothing, and the beginning of the lines before it. */
const trace = /^(?:goroutine \d+ |runtime stack:)/m;
const crash = /^(?:panic|fatal error|runtime|SIG[A-Z]+): .*/m;

/** The line about a full disk. */
const noSpace = /^.*(?:no space left on device|disk quota exceeded).*$/im;

/** Advice for a full disk, by a program's output; undefined for any other failure. */
export const spaceAdvice = (text: string): string | undefined => (noSpace.test(text) ? freeSpace : undefined);

/**
 * Why a program failed: what it printed of a full disk, the first line of a crash in Go, or the last line with words.
 */
export function reasonIn(text: string): string | undefined {
  // Later output is usually about cleaning up.
  const full = noSpace.exec(text)?.[0];
  const start = text.search(trace);
  const crashed = start < 0 ? undefined : crash.exec(text.slice(0, start))?.[0];
  // Some programs end with the border of a box.
  return (full ?? crashed ?? text.split(/[\r\n]+/).findLast((line) => /[\p{L}\d]/u.test(line)))?.trim();
}
