import { constants } from 'node:os';

/** Why a run starts nothing more. */
export type StopReason =
  | { readonly type: 'signal'; readonly signal: NodeJS.Signals }
  /** The reader of our log is gone. */
  | { readonly type: 'hang-up' }
  /** A task failed in failure mode `kill`. */
  | { readonly type: 'failure' }
  /** A long-running task's input changed, so a watch restarts it. */
  | { readonly type: 'change' }
  /** An error outside of any task's promise, which is a bug. */
  | { readonly type: 'crash'; readonly error: unknown };

/** The runner's own exit codes; a single failed command's code passes through. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  timeout: 124,
  missingTool: 127,
} as const;

/** A failure's code, limited to 8 bits; 1 if that is 0 or it is no code. */
function failureExitCode(code: unknown): number {
  return typeof code === 'number' && Number.isInteger(code) && code > 0 && code < 256
    ? code
    : exitCodes.failed;
}

/** The code that a shell reports after this signal: SIGINT 130, SIGTERM 143, SIGHUP 129, SIGKILL 137. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The exit code of a run stopped from outside; undefined if it stopped because of its own failure. */
export function stopExitCode(reason: StopReason): number | undefined {
  if (reason.type === 'signal') return signalExitCode(reason.signal);
  return reason.type === 'hang-up' ? signalExitCode('SIGHUP') : undefined;
}

export type ErrorText = {
  /** What happened, on one line, in the user's words. */
  readonly what: string;
  readonly why?: string | undefined;
  readonly advice?: string | undefined;
  /** 1 to 255; anything else becomes 1. */
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
};

/** An expected failure, shown without a stack. Any other thrown error is a bug and shown as one. */
export class TaskError extends Error {
  override readonly name: string = 'TaskError';
  readonly what: string;
  readonly why: string | undefined;
  readonly advice: string | undefined;
  readonly exitCode: number;

  constructor(text: ErrorText) {
    super(text.why === undefined ? text.what : `${text.what}: ${text.why}`, { cause: text.cause });
    this.what = text.what;
    this.why = text.why;
    this.advice = text.advice;
    this.exitCode = failureExitCode(text.exitCode);
  }
}

/** A mistake on the command line: exit code 2. */
export class UsageError extends TaskError {
  override readonly name = 'UsageError';

  constructor(text: Omit<ErrorText, 'exitCode'>) {
    super({ ...text, exitCode: exitCodes.usage });
  }
}

/** A tool is missing or too old, and could not be downloaded or built: exit code 127. */
export class MissingToolError extends TaskError {
  override readonly name = 'MissingToolError';

  constructor(text: Omit<ErrorText, 'exitCode'>) {
    super({ ...text, exitCode: exitCodes.missingTool });
  }
}

/** A failure as a value, for events and renderers. */
export type Failure = Pick<ErrorText, 'what' | 'why' | 'advice'> & {
  readonly exitCode: number;
  /** A UsageError: a mistake of the user that no log explains further. A command's own exit code may be 2 too. */
  readonly usage?: true;
  /** For internal errors only; shown with `--verbose`. */
  readonly stack?: string | undefined;
};

/** Converts a thrown value; anything but a `TaskError` becomes an internal error. */
export function toFailure(error: unknown): Failure {
  if (error instanceof TaskError) {
    const { what, why, advice } = error;
    const exitCode = failureExitCode(error.exitCode);
    return { what, why, advice, exitCode, ...(error instanceof UsageError && { usage: true }) };
  }
  const file = fileFailure(error);
  if (file !== undefined) return file;
  return {
    what: `Internal error: ${messageOf(error)}`,
    why: reasonsOf(error).filter(Boolean).join('\n') || undefined,
    advice: 'this is a bug; `--verbose` shows where',
    exitCode: exitCodes.failed,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

function messageOf(error: unknown): string {
  const { message } = Object(error) as { readonly message?: unknown };
  if (typeof message === 'string') return message;
  try {
    return (typeof error === 'object' && JSON.stringify(error)) || String(error);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}

/** Errors like `fetch failed` have the actual reason in their cause or aggregated errors. */
function reasonsOf(error: unknown, depth = 0): string[] {
  const { cause, errors } = Object(error) as { readonly cause?: unknown; readonly errors?: unknown };
  const inner = [...(cause === undefined ? [] : [cause]), ...(Array.isArray(errors) ? errors : [])];
  // Limited, as a cause may refer to itself.
  return depth > 4 ? [] : inner.flatMap((reason) => [messageOf(reason), ...reasonsOf(reason, depth + 1)]);
}

/** Advice for a full disk. */
export const freeSpace = 'free some space, then run again';

/** A full disk or a missing permission is never a bug. */
function fileFailure(error: unknown): Failure | undefined {
  const { code, path, message } = (error ?? {}) as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  if (!full && !(path !== undefined && ['EACCES', 'EPERM', 'EROFS'].includes(code ?? ''))) return undefined;
  return {
    what: path === undefined ? 'no space left' : `cannot ${full ? 'write' : 'use'} ${path}`,
    why: message,
    advice: full ? freeSpace : 'give yourself the right to write there, then run again',
    exitCode: exitCodes.failed,
  };
}

/** At most 12 lines (plus the stack with `verbose`): `error: …`, `  why: …`, `  do: …`. */
export function formatFailure(failure: Failure, verbose = false): string[] {
  const lines = [
    ...labelled('error: ', failure.what, 4),
    ...(failure.why?.trim() ? labelled('  why: ', failure.why, 4) : []),
    ...(failure.advice === undefined ? [] : labelled('  do: ', failure.advice, 4)),
  ];
  if (verbose && failure.stack !== undefined)
    for (const line of harmless(failure.stack).split('\n')) lines.push(`  ${line}`);
  return lines;
}

function labelled(label: string, text: string, limit: number): string[] {
  const lines = harmless(text.trim()).split('\n');
  const shown = lines.length > limit ? [...lines.slice(0, limit - 1), '…'] : lines;
  return shown.map((line, index) => (index === 0 ? label : ' '.repeat(label.length)) + line);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const controls = /[\u0000-\u0008\u000B-\u001A\u001C-\u001F\u007F-\u009F]|\u001B(?!\[[\d;:]*m)/g;

/** Removes control characters: quoted text must not clear the screen. Colours stay. */
function harmless(text: string): string {
  return text.replace(controls, '');
}
