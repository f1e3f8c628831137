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
export function failureExitCode(code: unknown): number {
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
