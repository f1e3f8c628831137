import type { CommandOptions } from './shell.ts';
import type { AnyTask, ArgumentSpecs, Options } from './task.ts';

/** What a file of tasks may set beside its tasks; everything has a default. */
export type CliConfig = {
  /** The name in usage lines. Default: `npx tsx tasks.ts`. */
  readonly program?: string;
  readonly version?: string;
  /** Global options beside the runner's own. */
  readonly options?: ArgumentSpecs;
  /**
   * Checks and completes the global options before the graph of these tasks is built; not called for list, help and version.
   * Throws UsageError.
   */
  readonly resolve?: Resolve;
  /** The lock file for runs in which a task has `lock`. */
  readonly lock?: (options: Options) => string;
  /** Folder and environment variables for the commands of tasks without a `run`. Default: ours. */
  readonly shell?: (options: Options) => Promise<CommandOptions>;
  /** The folder for what the runner remembers between runs: fingerprints and the journal. Default: `.tasks` in the working directory. */
  readonly memory?: (options: Options) => string;
  /** A file `NAME=value`; it gives the variables that the environment does not. */
  readonly dotenv?: string;
  /** The name of a program that starts the tasks and lies beside the main file, such as `run`: it is completed too. */
  readonly launcher?: string;
};

/** See `CliConfig`. */
export type Resolve = (options: Options, tasks: readonly AnyTask[]) => Promise<Options>;
