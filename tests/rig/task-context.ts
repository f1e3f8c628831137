import {
  type CommandOptions,
  type CommandOutput,
  type Options,
  type RunOutcome,
  type Shell,
  type TaskContext,
  TaskError,
} from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { root as projectFolder } from '../../lib/ground/project.ts';
import { type Attempt, failureOf } from '../../lib/runner/tests/rig/refusal.ts';
import { plainShell } from '../../lib/runner/tests/rig/shell.ts';
import type { Environment, EnvironmentContext, Target } from '../../lib/settings/context.ts';
import { environmentOf, homesOf } from '../../lib/settings/environment.ts';
import type { GlobalOptions } from '../../lib/settings/global-options.ts';
import { loadSettings } from '../../lib/settings/settings.ts';

export { type Failed, failureOf } from '../../lib/runner/tests/rig/refusal.ts';

export type RecordedContext = EnvironmentContext & {
  readonly args: TaskContext['args'];
  readonly logged: string[];
  readonly printed: string[];
  readonly secrets: string[];
  readonly reported: string[];
  /** Calls the registered cleanups of the run, last first. */
  readonly end: (outcome: RunOutcome) => Promise<void>;
};

type Answer = Partial<Pick<CommandOutput, 'stdout' | 'stderr' | 'exitCode' | 'signal'>>;

/** A shell without processes: `answer` gets each command as one text, and gives its output. */
export function answeringShell(answer: (command: string) => Answer): Shell {
  const run = async (command: string, options: CommandOptions): Promise<CommandOutput> => {
    const output = { stdout: '', stderr: '', exitCode: 0, signal: null, ...answer(command) };
    if (output.exitCode === 0 || options.nothrow) return output as CommandOutput;
    throw new TaskError({ what: `\`${command}\` failed`, why: output.stderr, exitCode: output.exitCode });
  };
  const text = (pieces: readonly string[], values: readonly unknown[]): string =>
    String.raw({ raw: pieces }, ...values.map((value) => [value].flat().join(' ')));
  const shellWith =
    (options: CommandOptions) =>
    (first: TemplateStringsArray | CommandOptions, ...values: readonly unknown[]): unknown =>
      Array.isArray(first)
        ? run(text(first, values), options)
        : shellWith({ ...options, ...(first as CommandOptions) });
  return shellWith({}) as unknown as Shell;
}

/** The environment `development` of a project in any folder. */
export const environmentIn = (folder: string, provider: ProviderName = 'embedded'): Environment =>
  environmentOf({ env: 'development', provider, context: 'some-context' }, folder);

/** The context of a task for an environment of a clone, without a run: commands are real, and the log is recorded. */
export function taskContext(given: Options, root: string = projectFolder): RecordedContext {
  const cleanups: ((outcome: RunOutcome) => void | Promise<void>)[] = [];
  const recorded = {
    logged: [] as string[],
    printed: [] as string[],
    secrets: [] as string[],
    reported: [] as string[],
  };
  const options: Options = { env: 'development', provider: 'embedded', ...given };
  const environment = environmentOf(options, root);
  const shell = plainShell();
  // With the current variables, because tests change PATH.
  const $ = (...words: Parameters<Shell>) =>
    shell({ cwd: root, env: { ...process.env, ...homesOf(environment), NO_COLOR: '1' } })(...words);
  return {
    ...recorded,
    args: {},
    options: options as GlobalOptions,
    environment,
    passThrough: [],
    $: $ as Shell,
    signal: new AbortController().signal,
    verbose: false,
    print: (text) => recorded.printed.push(text),
    log: (line) => recorded.logged.push(line),
    progress: () => {},
    page: () => {},
    report: (outcome) => recorded.reported.push(outcome),
    secret: (value) => recorded.secrets.push(value),
    onRunEnd: (cleanup) => cleanups.push(cleanup),
    end: async (outcome) => {
      for (const cleanup of cleanups.reverse()) await cleanup(outcome);
    },
  };
}

/** The context of a task for an environment of a clone, with its settings. */
export async function settledContext(options: Options, root?: string): Promise<RecordedContext & Target> {
  const context = taskContext(options, root);
  return { ...context, settings: await loadSettings(context.environment) };
}

/** Checks the fields of the error that an attempt ends with, as a whole or by a pattern, and returns it. */
export async function fails(
  attempt: Attempt,
  fields: {
    readonly [field in 'what' | 'why' | 'advice']?: string | RegExp | undefined;
  } & { readonly exitCode?: number },
): Promise<TaskError> {
  const error = await failureOf(attempt);
  for (const [name, wanted] of Object.entries(fields)) {
    const found = error[name as keyof typeof fields];
    if (wanted instanceof RegExp) assert.match(`${found ?? ''}`, wanted, `${name} is ${found}`);
    else assert.is(found, wanted, `${name} is ${found}`);
  }
  return error;
}
