import { availableParallelism } from 'node:os';
import { kebab } from './arguments.ts';
import { UsageError } from './errors.ts';
import type { CommandOptions } from './shell.ts';
import type { AnyTask, ArgumentSpecs, Arguments, Options } from './task.ts';

const outputModes = ['auto', 'live', 'grouped', 'prefixed', 'plain', 'json', 'github', 'gitlab'] as const;

export type OutputMode = (typeof outputModes)[number];

/** The runner's own options, allowed before or after the task's name. */
export const runnerOptions = {
  help: { type: 'boolean', short: 'h', description: 'explains the task, or everything' },
  version: { type: 'boolean', description: 'prints the version' },
  list: { type: 'boolean', short: 'l', description: 'shows all tasks, as the task `list` does' },
  choose: { type: 'boolean', description: 'picks a task and its arguments on the terminal, then runs it' },
  dryRun: { type: 'boolean', short: 'n', description: 'prints the plain commands and runs nothing' },
  jobs: {
    type: 'number',
    short: 'j',
    range: [1],
    optional: true,
    description: 'how many tasks run at once',
  },
  yes: { type: 'boolean', short: 'y', description: 'answers every question with yes' },
  confirm: {
    type: 'string',
    noun: 'word',
    optional: true,
    description: 'the word that a dangerous task asks for, such as a name; `--yes` does not answer it',
  },
  verbose: { type: 'boolean', short: 'v', description: 'shows every line of every task' },
  json: { type: 'boolean', description: 'results as JSON, where a task can' },
  output: { type: 'choice', choices: outputModes, default: 'auto', description: 'how the log is shown' },
  failure: {
    type: 'choice',
    noun: 'failure mode',
    choices: ['no-new', 'continue', 'kill'],
    default: 'no-new',
    description:
      'after a failure: start nothing new, continue with what does not depend on it, or kill the rest',
  },
  explain: { type: 'boolean', description: 'says of every task why it runs or not' },
  force: { type: 'boolean', description: 'runs every task, also one that is up to date' },
  resume: { type: 'boolean', description: 'leaves out what the last run of the same task had done' },
  watch: { type: 'boolean', short: 'w', description: 'runs again whenever an input of a task changes' },
  report: {
    type: 'path',
    optional: true,
    description: 'a file to write a report of the run to: one HTML page',
  },
  trace: {
    type: 'path',
    optional: true,
    description: 'a file to write a trace of the run to, for Perfetto or chrome://tracing',
  },
  wait: {
    type: 'boolean',
    default: true,
    description: 'do not wait for another run; fail at once (default with CI set)',
  },
} as const satisfies ArgumentSpecs;

const contradictions = [
  ['force', 'resume'],
  ['watch', 'resume'],
  ['dryRun', 'watch'],
  ['dryRun', 'resume'],
  ['dryRun', 'explain'],
] as const;

type Given = Arguments<typeof runnerOptions>;

export type RunnerSettings = Given & { readonly jobs: number };

/**
 * The runner's options, with defaults that depend on the machine. Throws UsageError for what the specs cannot express.
 */
export function runnerSettings(options: Options): RunnerSettings {
  for (const [one, other] of contradictions) {
    if (options[one] === true && options[other] === true)
      throw new UsageError({ what: `\`--${kebab(one)}\` and \`--${kebab(other)}\` exclude each other` });
  }
  const given = options as Given;
  return { ...given, jobs: given.jobs ?? Math.max(4, availableParallelism()) };
}

/** True if a variable such as `CI` is set to a true value. */
export function isSet(variable: string | undefined): boolean {
  return variable !== undefined && !['', '0', 'false'].includes(variable);
}

/** Configuration beside the tasks; everything has a default. */
export type CliConfig = {
  /** The name in usage lines. Default: `npx tsx tasks.ts`. */
  readonly program?: string;
  readonly version?: string;
  readonly options?: ArgumentSpecs;
  /**
   * Checks and completes the global options before the graph is built; not called for list, help and version. Throws
   * UsageError.
   */
  readonly resolve?: (options: Options, tasks: readonly AnyTask[]) => Promise<Options>;
  /** Path of the lock for runs with a task that has `lock`; with a name, of the one that a task names. */
  readonly lock?: (options: Options, name: true | string) => string;
  /** Folder and variables of commands of tasks without `run`. Default: this process's. */
  readonly shell?: (options: Options) => Promise<CommandOptions>;
  /** What a dry run prints before these plain commands, such as variables that they need. */
  readonly setUp?: (options: Options, commands: string) => string;
  /** Folder for records between runs: fingerprints and the journal. Default: `.tasks` in the working directory. */
  readonly memory?: (options: Options) => string;
  /** A file of `NAME=value` lines, for variables that are not set. */
  readonly dotenv?: string;
  /** The folder from which relative paths on the command line start. Default: the working directory. */
  readonly calledIn?: string | undefined;
  /** Name of a launcher next to the main file, such as `run`, to complete too. */
  readonly launcher?: string;
};
