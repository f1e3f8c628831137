import { availableParallelism } from 'node:os';
import { UsageError } from './errors.ts';
import { type OutputMode, outputModes } from './output/modes.ts';
import type { FailureMode } from './schedule.ts';
import type { ArgumentSpecs, Options } from './task.ts';

const failureModes = ['no-new', 'continue', 'kill'] as const satisfies readonly FailureMode[];

/** The runner's own options; they stand before or after the task's name. */
export const runnerOptions: ArgumentSpecs = {
  help: { type: 'boolean', short: 'h', description: 'explains the task, or everything' },
  version: { type: 'boolean', description: 'prints the version' },
  list: { type: 'boolean', short: 'l', description: 'shows all tasks, as the task `list` does' },
  choose: { type: 'boolean', description: 'picks a task and its arguments on the terminal, then runs it' },
  dryRun: { type: 'boolean', short: 'n', description: 'prints the plain commands and runs nothing' },
  jobs: { type: 'number', short: 'j', optional: true, description: 'how many tasks run at once' },
  yes: { type: 'boolean', short: 'y', description: 'answers every question with yes' },
  verbose: { type: 'boolean', short: 'v', description: 'shows every line of every task' },
  json: { type: 'boolean', description: 'results as JSON, where a task can' },
  output: { type: 'choice', choices: outputModes, default: 'auto', description: 'how the log is shown' },
  failure: {
    type: 'choice',
    noun: 'failure mode',
    choices: failureModes,
    default: 'no-new',
    description:
      'after a failure: start nothing new, continue with what does not depend on it, or kill the rest',
  },
  wait: {
    type: 'boolean',
    default: true,
    description: 'do not wait for another run; fail at once (default with CI set)',
  },
};

export type RunnerSettings = {
  readonly jobs: number;
  readonly verbose: boolean;
  readonly output: OutputMode;
  readonly failureMode: FailureMode;
  readonly wait: boolean;
};

/** The runner's own options in typed form. Throws UsageError for what their specs cannot say. */
export function runnerSettings(options: Options): RunnerSettings {
  const jobs = options.jobs ?? Math.max(4, availableParallelism());
  if (typeof jobs !== 'number' || !Number.isInteger(jobs) || jobs < 1) {
    throw new UsageError({
      what: `expected \`--jobs\` to be an integer from 1 and up, got \`${String(jobs)}\``,
    });
  }
  return {
    jobs,
    verbose: options.verbose === true,
    output: options.output as OutputMode,
    failureMode: options.failure as FailureMode,
    wait: options.wait === true && !isSet(process.env.CI),
  };
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && !['', '0', 'false'].includes(variable);
}
