/* The runner's public interface for tasks and other modules. */

export { didYouMean } from './arguments.ts';
export { exitCodes, MissingToolError, TaskError, UsageError } from './errors.ts';
export { formatDuration } from './format.ts';
export type { CliConfig } from './global-options.ts';
export { acquireLock } from './lock.ts';
export { parseJson } from './parse-json.ts';
export { childrenOf, isSameProcess, type ProcessIdentity, processIdentity } from './process-identity.ts';
export { runCli } from './run-cli.ts';
export type { Command, CommandOptions, CommandOutput, Shell } from './shell.ts';
export { lastSaid, missingTool, quote, reasonIn, spaceAdvice } from './shell.ts';
export {
  type AnyTask,
  type ArgumentSpecs,
  type Arguments,
  type Need,
  type Needs,
  need,
  type Options,
  type PageRow,
  type Question,
  type Readiness,
  type RunOutcome,
  type Share,
  type Task,
  type TaskContext,
  type TaskDefinition,
  type TaskInput,
  task,
} from './task.ts';
