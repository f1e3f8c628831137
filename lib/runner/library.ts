/** What the built library consists of: every value that runner.ts, its door, hands out. */

export { quote } from './command-text.ts';
export { MissingToolError, TaskError, UsageError } from './errors.ts';
export { exitCodes, exitCodeTable } from './exit-codes.ts';
export { formatDuration } from './format.ts';
export { acquireLock } from './lock.ts';
export { bootId, childrenOf, isSameProcess, processStartTime } from './process-identity.ts';
export { runCli } from './run-cli.ts';
// Behind the door only: a test of what uses a shell gets one whose errors are the door's.
export { createShell } from './shell.ts';
export { didYouMean, suggest } from './suggest.ts';
export { need, task } from './task.ts';
