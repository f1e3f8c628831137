import type { ChildProcess, SpawnOptions } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { BackPressure } from './back-pressure.ts';
import { TaskError } from './errors.ts';
import type { OnePipe } from './one-pipe.ts';

/** How a command is run: `$({ cwd, env })`. */
export type CommandOptions = {
  readonly cwd?: string | undefined;
  /** The whole environment of the child; default: ours. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** What the child reads on stdin; without it stdin is empty. */
  readonly input?: string | Buffer | Readable | undefined;
  /**
   * Only capture the output, keep it out of the task's log. All of it is kept, up to 64 MiB of each stream; a command that
   * prints more fails (with `nothrow` only the end is given back).
   */
  readonly quiet?: boolean | undefined;
  /** Give the output of a failing command back instead of throwing. */
  readonly nothrow?: boolean | undefined;
  /** Milliseconds; then the command is ended (SIGTERM, 5 s, SIGKILL) and fails with exit code 124. */
  readonly timeoutMs?: number | undefined;
  /**
   * The command starts processes that shall outlive the run (they leave its group by themselves). When this run is killed,
   * the next one does not take them for leftovers; neither the command itself.
   */
  readonly daemons?: boolean | undefined;
};

/** What a command left behind. */
export type CommandOutput = {
  /** Whole with `quiet`; of a command whose output is in the task's log the last MiB, from the start of a line. */
  readonly stdout: string;
  readonly stderr: string;
  /** More was printed than is kept. */
  readonly truncated: boolean;
  /** 128 + n for a command that died by signal n. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
};

/**
 * A running command; await it for its output. Of zx's own promise only what is safe here: `.json()`, `.text()` and
 * `.lines()` mix stderr into the result, and `.pipe()` would start a child that the run does not know (write `a | b`).
 */
export type Command = Promise<CommandOutput> & {
  readonly pid: number | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
};

/** Starts commands: as a template for one of them, called with options for a shell that has these. */
export type Shell = {
  (pieces: TemplateStringsArray, ...values: readonly unknown[]): Command;
  (options: CommandOptions): Shell;
};

/** What the shell needs of the task that it is bound to. */
export type ShellHost = {
  readonly interactive: boolean;
  /** What the next command writes both its streams to, so that the order of its lines is kept. It comes as stdout. */
  readonly pipe?: OnePipe | undefined;
  /** Throws when the task may start nothing more. */
  readonly check: () => void;
  readonly spawn: (
    command: string,
    args: readonly string[],
    options: SpawnOptions,
    kind: { readonly interactive: boolean; readonly daemons: boolean },
  ) => ChildProcess;
  /** Ends one child and its group. */
  readonly end: (child: ChildProcess) => void;
  readonly onCommand: (command: string) => void;
  /** `command` is another object for each command. */
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer | string, command: object) => void;
  readonly redact: (text: string) => string;
  /** Slows children down whose output cannot be written as fast as it comes. */
  readonly pressure?: BackPressure | undefined;
};

/** Thrown by `$` of a task that was stopped. */
export function stoppedError(): TaskError {
  return new TaskError({ what: 'the run was stopped' });
}

/** One word for any POSIX shell; zx's own form (`$'…'`) is only understood by bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Throws for a value that is `undefined` or `null`: zx would write that word into the command. */
export function checkValues(pieces: readonly string[], values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}
