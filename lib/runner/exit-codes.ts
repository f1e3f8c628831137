import { constants } from 'node:os';

/** Why nothing more is started. */
export type StopReason =
  | { readonly type: 'signal'; readonly signal: NodeJS.Signals }
  /** Nobody reads our log any more. */
  | { readonly type: 'hang-up' }
  /** A task failed and the failure mode is `kill`. */
  | { readonly type: 'failure' }
  /** An input of a long-running task changed: a watch restarts it. */
  | { readonly type: 'change' }
  /** An error outside of any task's own promise: a bug. */
  | { readonly type: 'crash'; readonly error: unknown };

/** Every exit code that the runner gives by itself; a single failed command's own code passes through. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  timeout: 124,
  missingTool: 127,
} as const;

/** All exit codes of a run, for people. */
export const exitCodeTable: readonly { readonly code: string; readonly meaning: string }[] = [
  { code: '0', meaning: 'everything was done, or was up to date' },
  { code: '1', meaning: 'several tasks failed, a cleanup failed, or an internal error' },
  {
    code: '2',
    meaning: 'something is wrong on the command line, or an answer is needed and there is no terminal',
  },
  { code: '124', meaning: 'a task or command ran into its time limit' },
  { code: '127', meaning: 'a tool is not installed' },
  { code: '129', meaning: 'SIGHUP, or nobody reads the log any more' },
  { code: '130', meaning: 'SIGINT (Ctrl-C)' },
  { code: '131', meaning: 'SIGQUIT (Ctrl-\\)' },
  { code: '143', meaning: 'SIGTERM' },
  {
    code: 'any other',
    meaning: 'the own code of the only command that failed; 128 + n when signal n ended it',
  },
];

/** A failure's code as the system can pass it on, which takes 8 bits: 1 for whatever would end in 0 or is no code at all. */
export function failureExitCode(code: unknown): number {
  return typeof code === 'number' && Number.isInteger(code) && code > 0 && code < 256
    ? code
    : exitCodes.failed;
}

/** What a shell reports for a process that ended by this signal: SIGINT 130, SIGTERM 143, SIGHUP 129, SIGKILL 137. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The code of a run that was stopped from outside; undefined when it was stopped for a failure of its own. */
export function stopExitCode(reason: StopReason): number | undefined {
  if (reason.type === 'signal') return signalExitCode(reason.signal);
  return reason.type === 'hang-up' ? signalExitCode('SIGHUP') : undefined;
}

/** The code of a run that came to its end: the only failure's own code, 1 for several. */
export function failuresExitCode(failures: readonly { readonly exitCode: number }[]): number {
  const [first, second] = failures;
  if (first === undefined) return exitCodes.done;
  return second === undefined ? first.exitCode : exitCodes.failed;
}
