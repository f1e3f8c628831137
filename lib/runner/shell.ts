import type { ChildProcess, SpawnOptions } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { BackPressure } from './back-pressure.ts';
import type { OnePipe } from './one-pipe.ts';

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
    kind: { readonly interactive: boolean; readonly daemons: boolean },
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

/** Quotes a word for any POSIX shell; zx's form (`$'…'`) needs bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Throws for `undefined` and `null`, which zx would write into the command as words. */
export function checkValues(pieces: readonly string[], values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}
