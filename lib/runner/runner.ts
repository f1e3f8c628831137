import type * as Library from './library.ts';
import { loadLibrary } from './load-library.ts';

/*
 * The door of the runner: everything that tasks and other modules may use of it. What is behind it is one built file, since each
 * module that the loader fetches costs more than what is in it.
 */
const library = loadLibrary();

export type { Failure } from './errors.ts';
export type { Lock, LockHolder, LockRequest } from './lock.ts';
export type { ProcessIdentity } from './process-identity.ts';
export type { CliConfig } from './run-cli.ts';
export type { Command, CommandOptions, CommandOutput, Shell } from './shell.ts';
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

/** Declares a task. Costs next to nothing: the place of the call is only worked out when it is asked for. */
export const task: typeof Library.task = library.task;

/** A need with arguments; what has a default may be left out. */
export const need: typeof Library.need = library.need;

/**
 * Does what the command line says and returns the exit code. Every error is shown here. Signals are handled from the first
 * line to the last. What tasks have left open ends soon after the caller has set `process.exitCode`.
 */
export const runCli: typeof Library.runCli = library.runCli;

/** An expected failure: shown as a few lines without a stack. Any other thrown error is a bug and is shown as one. */
export const TaskError: typeof Library.TaskError = library.TaskError;
export type TaskError = Library.TaskError;

/** Something is wrong on the command line: exit code 2. */
export const UsageError: typeof Library.UsageError = library.UsageError;
export type UsageError = Library.UsageError;

/** A tool is missing or too old and cannot be got: exit code 127. */
export const MissingToolError: typeof Library.MissingToolError = library.MissingToolError;
export type MissingToolError = Library.MissingToolError;

/** Every exit code that the runner gives by itself; a single failed command's own code passes through. */
export const exitCodes: typeof Library.exitCodes = library.exitCodes;

/** All exit codes of a run, for people. */
export const exitCodeTable: typeof Library.exitCodeTable = library.exitCodeTable;

/** One word for any POSIX shell. */
export const quote: typeof Library.quote = library.quote;

/** `0.4s`, `12s`, `3m12s`, `1h05m`, of milliseconds. */
export const formatDuration: typeof Library.formatDuration = library.formatDuration;

/** The candidate that was probably meant, or nothing. */
export const suggest: typeof Library.suggest = library.suggest;

/** "Did you mean `x`?", or the given text when nothing is near. */
export const didYouMean: typeof Library.didYouMean = library.didYouMean;

/**
 * Takes the lock at this path, waiting for its holder if it lives. Throws TaskError when it is taken and `wait` is false, or when
 * the signal comes.
 */
export const acquireLock: typeof Library.acquireLock = library.acquireLock;

/** Changes with every boot of the machine. */
export const bootId: typeof Library.bootId = library.bootId;

/** The processes that this one started and that still run. */
export const childrenOf: typeof Library.childrenOf = library.childrenOf;

/** Whether exactly this process is still alive. */
export const isSameProcess: typeof Library.isSameProcess = library.isSameProcess;

/** When a process started, in a form that is only good for comparison; undefined when there is none of that pid. */
export const processStartTime: typeof Library.processStartTime = library.processStartTime;
