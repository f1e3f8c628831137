import { constants } from 'node:os';
import type { StopReason } from './events.ts';

/** Every exit code that the runner gives by itself; a single failed command's own code passes through. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  timeout: 124,
  missingTool: 127,
} as const;

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
