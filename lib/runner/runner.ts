/** The door of the runner: everything that tasks and other modules may use of it. */

export { quote } from './command-text.ts';
export type { Failure } from './errors.ts';
export { MissingToolError, TaskError, UsageError } from './errors.ts';
export { exitCodes, exitCodeTable } from './exit-codes.ts';
export { formatDuration } from './format.ts';
export type { Lock, LockHolder, LockRequest } from './lock.ts';
export { acquireLock } from './lock.ts';
export type { ProcessIdentity } from './process-identity.ts';
export { bootId, childrenOf, isSameProcess, processStartTime } from './process-identity.ts';
export type { CliConfig } from './run-cli.ts';
export { runCli } from './run-cli.ts';
export type { Command, CommandOptions, CommandOutput, Shell } from './shell.ts';
export { didYouMean, suggest } from './suggest.ts';
export type {
  AnyTask,
  ArgumentSpec,
  ArgumentSpecs,
  Arguments,
  ArgumentValues,
  Need,
  Needs,
  Options,
  OptionValue,
  Readiness,
  RunOutcome,
  Task,
  TaskContext,
  TaskDefinition,
  TaskInput,
  Variables,
} from './task.ts';
export { need, task } from './task.ts';
