import { CallSite, type Place } from './call-site.ts';
import type { Shell } from './shell.ts';

/** Allowed or suggested words; a function may read files and is called only when needed. */
type Words = readonly string[] | ((options: Options) => readonly string[] | Promise<readonly string[]>);

/** How an argument or option is written, checked and typed; `ExactSpec` defines the valid combinations. */
export type ArgumentSpec = {
  /** One line for `--help` and `list`. */
  readonly description: string;
  /** Given by position (`install-app app1`) instead of by name (`--app app1`). */
  readonly positional?: boolean;
  /** The last positional may take all remaining words; its value is a list. */
  readonly variadic?: boolean;
  /** Suggestions for completion and `--choose`; other values are allowed. */
  readonly suggestions?: Words;
  /**
   * The word for a value in errors ("unknown app `x`", default: the argument's name) and in help: `--report <path>`.
   */
  readonly noun?: string;
  /** An argument without a default is required unless it is `optional`. */
  readonly optional?: boolean;
  /** One letter: `-e`. */
  readonly short?: string;
  /** Allows the name of a global option, which then cannot stand after the task's name. */
  readonly hidesGlobal?: boolean;
  /** Environment variable with the value, unless the command line has one. */
  readonly env?: string;
  /**
   * A boolean whose default is true is written `--no-name`. A path on the command line may begin with `~/`; a relative
   * one starts from `CliConfig.calledIn`.
   */
  readonly type: 'string' | 'path' | 'number' | 'boolean' | 'choice';
  /** Allowed values of a `choice`. */
  readonly choices?: Words;
  readonly default?: string | number | boolean;
  /** Limits of a `number`, which then is a whole one. */
  readonly range?: readonly [from: number, to?: number];
};

/** A union instead would hide the type of the parameter of a `choices` function from the compiler. */
type ExactSpec =
  | (Single & { readonly type: 'number'; readonly default?: number })
  | ({ readonly range?: never } & (
      | { readonly type: 'string' | 'path'; readonly default?: string }
      | (Single & { readonly type: 'boolean'; readonly default?: boolean; readonly positional?: never })
      | { readonly type: 'choice'; readonly default?: string; readonly choices: Words }
    ));

type Single = { readonly choices?: never; readonly variadic?: never };

/** A task's arguments by name; `dryRun` is written `--dry-run` on the command line. */
export type ArgumentSpecs = { readonly [name: string]: ArgumentSpec };

type Item<Spec extends ArgumentSpec> = Spec['type'] extends 'number'
  ? number
  : Spec['type'] extends 'boolean'
    ? boolean
    : Spec extends { readonly choices: readonly (infer Choice)[] }
      ? Choice
      : string;

type Value<Spec extends ArgumentSpec> = Spec extends { readonly variadic: true }
  ? readonly Item<Spec>[]
  : Item<Spec> | (Spec extends { readonly optional: true } ? undefined : never);

/** The arguments that `run` gets, typed by their specs. */
export type Arguments<Specs extends ArgumentSpecs> = { readonly [Name in keyof Specs]: Value<Specs[Name]> };

/** A typed value of an argument or option. */
export type OptionValue = string | number | boolean | readonly string[] | undefined;

/** Global options by name, after `CliConfig.resolve`. */
export type Options = { readonly [name: string]: OptionValue };

/** Unchecked arguments of a task, for example from a need. */
export type ArgumentValues = { readonly [name: string]: OptionValue };

/** A task's input, known before anything runs. */
export type TaskInput<Specs extends ArgumentSpecs = ArgumentSpecs> = {
  readonly args: Arguments<Specs>;
  readonly options: Options;
  /** Words after `--`, untouched. */
  readonly passThrough: readonly string[];
};

/** How a run ended. */
export type RunOutcome = 'done' | 'failed' | 'interrupted';

/** How much of a task is done, in any unit. */
export type Share = { readonly done: number; readonly total: number };

/** A row of a page that a task shows. */
export type PageRow = { readonly name: string; readonly text: string; readonly tone?: 'bad' | 'soft' };

/** What `run` gets. */
export type TaskContext<Specs extends ArgumentSpecs = ArgumentSpecs> = TaskInput<Specs> & {
  /**
   * zx, bound to this task: children run in their own process group and are stopped with the run, output goes to the
   * task's log (with `quiet: true` it is only captured), stdin is empty without `input`. A failing command throws
   * `TaskError` with its exit code. Results are in `.stdout`.
   */
  readonly $: Shell;
  /** Aborted when the run is asked to stop. */
  readonly signal: AbortSignal;
  readonly verbose: boolean;
  /** Prints a result to stdout, adding a final line break if it is missing. */
  readonly print: (text: string) => void;
  /** A line of progress in the task's log, on stderr. */
  readonly log: (line: string) => void;
  /**
   * A temporary state ("building vault") for the live view, with a bar and the time left if the share is known. Logs
   * get it every 30 seconds, with `--verbose` always.
   */
  readonly progress: (text: string, share?: Share) => void;
  /**
   * Shows rows in place of those shown before, of which the last stay; a stdout that is no terminal gets all of them.
   */
  readonly page: (rows: readonly PageRow[]) => void;
  /** Reports whether the task changed anything, for the summary. */
  readonly report: (outcome: 'changed' | 'unchanged') => void;
  /** Hides this text and its base64 form as `***` in all later output of the run. */
  readonly secret: (value: string) => void;
  /** Registers a cleanup for the end of the run, whatever its result; last registered, first run. Limited in time. */
  readonly onRunEnd: (cleanup: (outcome: RunOutcome) => void | Promise<void>) => void;
};

/** A needed task with its arguments. */
export type Need = { readonly task: AnyTask; readonly args?: ArgumentValues };

/** The tasks that a task needs, by reference, with arguments if they take any. */
export type Needs = readonly (AnyTask | Need)[];

/** When a long-running process is ready. */
export type Readiness = {
  /** A line of its output contains this text. */
  readonly log: string;
  /** Milliseconds to become ready, then exit code 124. Default: the task's `timeoutMs`, or 60,000. */
  readonly timeoutMs?: number;
};

/** A question that `--yes` answers, or one that needs a word: typed, or by `--confirm <word>`. */
export type Question = string | { readonly question: string; readonly word: string };

/** A value, or a function of the task's input. */
type Declared<Value, Specs extends ArgumentSpecs = ArgumentSpecs> =
  | Value
  | ((input: TaskInput<Specs>) => Value);

/** The fields of a task; only name, description and commands are required. */
export type TaskDefinition<Specs extends ArgumentSpecs> = {
  /** kebab-case; unique. */
  readonly name: string;
  /** One line, no full stop. */
  readonly description: string;
  readonly group?: string;
  readonly aliases?: readonly string[];
  /** Not listed, and not allowed on the command line. */
  readonly private?: boolean;
  readonly args?: Specs & { readonly [Name in keyof Specs]: ExactSpec };
  /** Takes words after `--`. */
  readonly passThrough?: boolean;
  /** Tasks to complete first. A shared need runs once. */
  readonly needs?: Declared<Needs, Specs>;
  /**
   * Tasks to run one after another before this one, as if separated by `,` on the command line. Only for tasks named
   * there: no other task can need this one.
   */
  readonly steps?: Declared<Needs, Specs>;
  /** Tasks to complete first if they are part of the same run; they are not pulled in. */
  readonly after?: Declared<readonly AnyTask[], Specs>;
  /**
   * Called before anything runs or asks, even if the task is only needed; not in a dry run. `names` are those of all
   * tasks of the run. Throws a `UsageError` or `TaskError` to end the run.
   */
  readonly check?: (input: TaskInput<Specs>, names: readonly string[]) => void | Promise<void>;
  /** Asked before anything runs; undefined: nothing. Without an answer and a terminal it is a usage error. */
  readonly confirm?: Declared<Question | undefined | Promise<Question | undefined>, Specs>;
  /** The run holds the lock of `CliConfig.lock` if any of its tasks has `lock`, and then those that its tasks name. */
  readonly lock?: boolean | string;
  /** Gets the terminal and runs alone. */
  readonly interactive?: boolean;
  /** Tasks with the same mutex never run at the same time. A long-running process releases it once ready. */
  readonly mutex?: Declared<string, Specs>;
  /** Milliseconds for each attempt, then exit code 124; for a long-running process, to become ready (see `ready`). */
  readonly timeoutMs?: number;
  /** Number of further attempts after a failure. Default: 0. */
  readonly retries?: number;
  /** Milliseconds before the second attempt, doubled for each further one. Default: 1000. */
  readonly retryDelayMs?: number;
  /**
   * Finalisers: tasks that run after this one and everything that needs it have ended, even by a failure (in every
   * failure mode) or a signal, unless this one never started. They run last, one by one, in reverse order of their
   * tasks, each once for all its tasks. After a signal each has 2 minutes or its `timeoutMs`, after a second one 5
   * seconds. If one fails, the run fails.
   */
  readonly finally?: Declared<Needs, Specs>;
  /**
   * Makes it a long-running process: dependents start once it is ready, and it is stopped after the last of them
   * (SIGTERM to its group, SIGKILL after 5 s). If it ends earlier, it has failed. A task without commands passes it
   * on to its own dependents. On the command line, or as a need of such a task there, it runs until a signal.
   * `retries` apply until it is ready.
   */
  readonly ready?: Declared<Readiness, Specs>;
  /**
   * Globs of the files that the task reads, relative to the folder of `CliConfig.shell`; a leading `!` excludes. It is
   * up to date while they, the inputs of its needs and its arguments are unchanged.
   */
  readonly inputs?: Declared<readonly string[] | Promise<readonly string[]>, Specs>;
  /** Globs of further files for `--watch`. Unlike `inputs`, they never make a task up to date. */
  readonly watched?: (input: TaskInput<Specs>) => readonly string[] | Promise<readonly string[]>;
  /** A command that exits with 0 if nothing has to be done. With `inputs`, both have to agree. */
  readonly status?: Declared<string | Promise<string>, Specs>;
  /** Equivalent plain commands, ready to paste, for `--dry-run`. Pure: needs no tool, cluster or key. */
  readonly commands: (input: TaskInput<Specs>) => readonly string[] | Promise<readonly string[]>;
  /** Default: runs `commands` one by one. */
  readonly run?: (context: TaskContext<Specs>) => void | Promise<void>;
};

/** A declared task, with the place of the call of `task()`, which a copy (`{ ...build }`) keeps. */
export type Task<Specs extends ArgumentSpecs = ArgumentSpecs> = TaskDefinition<Specs> & {
  readonly place: Place;
};

/** A task with any arguments. */
// biome-ignore lint/suspicious/noExplicitAny: a task of any arguments; contravariance of `run` leaves no other type
export type AnyTask = Task<any>;

type NoArguments = Record<never, never>;

/**
 * Declares a task. Cheap: finds the place of the call only on request. A function that declares tasks for others
 * passes itself as `callee`, so that the place is its caller's.
 */
export function task<const Specs extends ArgumentSpecs = NoArguments>(
  definition: TaskDefinition<Specs>,
  callee: (...args: never[]) => unknown = task,
): Task<Specs> {
  return { ...definition, place: new CallSite(callee) };
}

/** Arguments that a need must give: without a default, not optional, and without a variable. */
type RequiredNames<Specs extends ArgumentSpecs> = {
  [Name in keyof Specs]: Specs[Name] extends
    | { readonly default: unknown }
    | { readonly optional: true }
    | { readonly env: string }
    | { readonly type: 'boolean' }
    ? never
    : Name;
}[keyof Specs];

type GivenArguments<Specs extends ArgumentSpecs> = [keyof Specs] extends [never]
  ? Record<string, never>
  : Partial<Arguments<Specs>> & Pick<Arguments<Specs>, RequiredNames<Specs>>;

/** A need with arguments; those with a default may be omitted. */
export function need<Specs extends ArgumentSpecs>(
  needed: Task<Specs>,
  ...args: [RequiredNames<Specs>] extends [never] ? [GivenArguments<Specs>?] : [GivenArguments<Specs>]
): Need {
  return { task: needed, args: (args[0] ?? {}) as ArgumentValues };
}

/** Evaluates such a field. */
export function declared<Value>(field: Declared<Value> | undefined, input: TaskInput): Value | undefined {
  return typeof field === 'function' ? (field as (input: TaskInput) => Value)(input) : field;
}

/** True if the task has no commands of its own and only groups its needs. */
export async function isEmpty(task: AnyTask, input: TaskInput): Promise<boolean> {
  return task.run === undefined && (await task.commands(input)).length === 0;
}

/** A task's needs, finalisers or steps for an input, each with its arguments. */
export function needsOf(
  task: AnyTask,
  input: TaskInput,
  field: 'needs' | 'finally' | 'steps' = 'needs',
): Required<Need>[] {
  return (declared<Needs>(task[field], input) ?? []).map((entry) =>
    // An untyped value such as `needs: ['build']` has no fields; the check of the graph refuses it.
    Object.hasOwn(Object(entry), 'task')
      ? { args: {}, ...(entry as Need) }
      : { task: entry as AnyTask, args: {} },
  );
}
