import { CallSite } from './call-site.ts';
import type { Shell } from './shell.ts';

/** Allowed or possible words; a function may read files, and is only called when needed. */
type Words = readonly string[] | ((options: Options) => readonly string[] | Promise<readonly string[]>);

type CommonSpec = {
  /** One line for `--help` and `list`. */
  readonly description: string;
  /** Given by place (`install-app app1`) instead of by name (`--app app1`). */
  readonly positional?: boolean;
  /** The last positional may take every remaining word; its value is then a list. */
  readonly variadic?: boolean;
  /** Values that completion and `--choose` offer, where others are allowed too. */
  readonly suggestions?: Words;
  /** The word used for a value in error messages: "unknown app `x`". Default: the argument's name. */
  readonly noun?: string;
  /** An argument without a default that is not `optional` is required. */
  readonly optional?: boolean;
  /** One letter: `-e`. */
  readonly short?: string;
  /** Environment variable that gives the value when the command line does not. */
  readonly env?: string;
};

/** How one argument or option is written, checked and typed; `ExactSpec` says what goes together. */
export type ArgumentSpec = CommonSpec & {
  /** A boolean whose default is true is written `--no-name`. */
  readonly type: 'string' | 'number' | 'boolean' | 'choice';
  /** Allowed values of a `choice`. */
  readonly choices?: Words;
  readonly default?: string | number | boolean;
};

/** A union cannot take its place: the compiler would not know the parameter of a function of `choices` any more. */
type ExactSpec =
  | { readonly type: 'string'; readonly default?: string }
  | { readonly type: 'number'; readonly default?: number; readonly choices?: never }
  | {
      readonly type: 'boolean';
      readonly default?: boolean;
      readonly choices?: never;
      readonly variadic?: never;
    }
  | { readonly type: 'choice'; readonly default?: string; readonly choices: Words };

/** The arguments of a task by name; in words of the command line `dryRun` is `--dry-run`. */
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

/** What `run` gets for the arguments that a task declares. */
export type Arguments<Specs extends ArgumentSpecs> = { readonly [Name in keyof Specs]: Value<Specs[Name]> };

/** What an argument or option can be. */
export type OptionValue = string | number | boolean | readonly string[] | readonly number[] | undefined;

/** The global options of the command line, by name, as `CliConfig.resolve` left them. */
export type Options = { readonly [name: string]: OptionValue };

/** Arguments of a task before they are checked: what a need may pass on. */
export type ArgumentValues = { readonly [name: string]: OptionValue };

/** What is known of a task before anything runs. */
export type TaskInput<Specs extends ArgumentSpecs = ArgumentSpecs> = {
  readonly args: Arguments<Specs>;
  readonly options: Options;
  /** Words after `--`, untouched. */
  readonly passThrough: readonly string[];
};

/** How a run ended. */
export type RunOutcome = 'done' | 'failed' | 'interrupted';

/** What a task's `run` is given. */
export type TaskContext<Specs extends ArgumentSpecs = ArgumentSpecs> = TaskInput<Specs> & {
  /**
   * zx, bound to this task: children live in their own process group and are stopped with the run, their output goes to
   * the task's log (with `quiet: true` it is only captured), stdin is empty unless `input` is given. Throws `TaskError`
   * when a command fails, with the command's own exit code. Read results from `.stdout`.
   */
  readonly $: Shell;
  /** Aborted when the run is asked to stop. */
  readonly signal: AbortSignal;
  readonly verbose: boolean;
  /** A result: goes to stdout as it is (with a line break added when there is none). */
  readonly print: (text: string) => void;
  /** A line of progress in the task's log, on stderr. */
  readonly log: (line: string) => void;
  /** A passing state for the live view ("building vault, 3m12s"); shown plainly only with `--verbose`. */
  readonly progress: (text: string) => void;
  /** Says whether the task changed anything; shown in the summary. Default: nothing is said. */
  readonly report: (outcome: 'changed' | 'unchanged') => void;
  /** From now on this text, and its base64 form, shows as `***` in everything that the run writes. */
  readonly secret: (value: string) => void;
  /** Called at the end of the run in reverse order of registration, also after a failure or a signal; its time is bounded. */
  readonly onRunEnd: (cleanup: (outcome: RunOutcome) => void | Promise<void>) => void;
};

/** A task that is needed, with the arguments it gets. */
export type Need = { readonly task: AnyTask; readonly args?: ArgumentValues };

/** What a task needs: tasks by reference, with arguments where they take some. */
export type Needs = readonly (AnyTask | Need)[];

/** Environment variables by name. */
export type Variables = { readonly [name: string]: string };

/** When a long-running process counts as ready. */
export type Readiness = {
  /** A line of its output holds this text or matches. */
  readonly log: string | RegExp;
  /** Milliseconds until it must be ready; exit code 124 afterwards. Default: the task's `timeoutMs`, else 60,000. */
  readonly timeoutMs?: number;
};

/** What a task is declared with; only name, description and commands have to be given. */
export type TaskDefinition<Specs extends ArgumentSpecs> = {
  /** kebab-case; unique. */
  readonly name: string;
  /** One line, no full stop. */
  readonly description: string;
  readonly group?: string;
  readonly aliases?: readonly string[];
  /** Not listed and not to be called from the command line. */
  readonly private?: boolean;
  readonly args?: Specs & { readonly [Name in keyof Specs]: ExactSpec };
  /** Takes words after `--`. */
  readonly passThrough?: boolean;
  /** Tasks that must be done first. A shared need runs once. */
  readonly needs?: Needs | ((input: TaskInput<Specs>) => Needs);
  /**
   * Tasks that run one after another before this one, as if the command line named them with `,` in between. For a task that
   * is named on the command line: another one cannot need it.
   */
  readonly steps?: Needs | ((input: TaskInput<Specs>) => Needs);
  /** Tasks that must be done first when they are part of the same run, but are not pulled in. */
  readonly after?: readonly AnyTask[] | ((input: TaskInput<Specs>) => readonly AnyTask[]);
  /**
   * Called before anything runs and before any question, also when the task is only needed; not in a dry run. What it throws,
   * a `UsageError` or `TaskError`, ends the run.
   */
  readonly check?: (input: TaskInput<Specs>) => void | Promise<void>;
  /** The question asked before anything runs; `--yes` answers it, without a terminal its lack is a usage error. */
  readonly confirm?: string | ((input: TaskInput<Specs>) => string);
  /** The run holds the lock of `CliConfig.lock` while a task with `lock` is part of it. */
  readonly lock?: boolean;
  /** Inherits the terminal and runs alone. */
  readonly interactive?: boolean;
  /** Tasks with the same mutex never run at the same time. A long-running process gives it back when it is ready. */
  readonly mutex?: string | ((input: TaskInput<Specs>) => string);
  /** Milliseconds for one attempt; exit code 124 afterwards. Of a long-running process: to become ready, see `ready`. */
  readonly timeoutMs?: number;
  /** Further attempts after a failure. Default 0. */
  readonly retries?: number;
  /** Milliseconds before the second attempt, doubled for each further one. Default 1000. */
  readonly retryDelayMs?: number;
  /** Folder for its commands, and what relative `inputs` start from. Default: `CliConfig.shell`'s, else ours. */
  readonly cwd?: string | ((input: TaskInput<Specs>) => string);
  /** Further variables for its commands; they win over all others. */
  readonly env?: Variables | ((input: TaskInput<Specs>) => Variables);
  /**
   * Finalisers: tasks that run once this one and everything that needs it has ended, however it ended, also after a failure
   * (in every failure mode) or a signal; not when this one was never started. They run when all else has ended, one after
   * another, what was made last is taken away first, each once for however many tasks it belongs to. After a signal each has
   * 2 minutes, or its `timeoutMs`, after a second one 5 seconds. Their own failure fails the run.
   */
  readonly finally?: Needs | ((input: TaskInput<Specs>) => Needs);
  /**
   * Makes it a long-running process: its dependents start as soon as it is ready, and it is ended when the last of them has
   * ended (SIGTERM to its group, after 5 s SIGKILL); a task without commands of its own stands for those who need it. That
   * it ends by itself before is a failure. Requested on the command line, also as a need of a task without commands, it runs
   * until a signal comes. `retries` are for becoming ready.
   */
  readonly ready?: Readiness | ((input: TaskInput<Specs>) => Readiness);
  /**
   * Globs of files that the task reads (`!` in front leaves out). It is up to date while these, those of its needs and its arguments
   * stay the same.
   */
  readonly inputs?:
    | readonly string[]
    | ((input: TaskInput<Specs>) => readonly string[] | Promise<readonly string[]>);
  /** Globs of files that `--watch` looks at beside the `inputs`. They make nothing up to date: the task runs whenever it is asked for. */
  readonly watched?: (input: TaskInput<Specs>) => readonly string[] | Promise<readonly string[]>;
  /** A command that exits 0 when nothing is to be done. With `inputs` both must say so. */
  readonly status?: string | ((input: TaskInput<Specs>) => string | Promise<string>);
  /** The plain commands the task stands for, ready to paste; printed by `--dry-run`. Pure: no tool, no cluster, no key. */
  readonly commands: (input: TaskInput<Specs>) => readonly string[] | Promise<readonly string[]>;
  /** Default: runs `commands` one after another. */
  readonly run?: (context: TaskContext<Specs>) => void | Promise<void>;
};

/** A declared task. */
export type Task<Specs extends ArgumentSpecs = ArgumentSpecs> = TaskDefinition<Specs> & {
  /** Where `task()` was called. */
  readonly file: string;
  readonly line: number;
};

/** A task, whatever arguments it takes. */
// biome-ignore lint/suspicious/noExplicitAny: a task of any arguments; contravariance of `run` leaves no other type
export type AnyTask = Task<any>;

/** A task without arguments. */
type NoArguments = Record<never, never>;

/**
 * Declares a task. Costs next to nothing: the place of the call is only worked out when it is asked for. A function that declares
 * tasks for others gives itself as `callee`: the place is where it was called.
 */
export function task<const Specs extends ArgumentSpecs = NoArguments>(
  definition: TaskDefinition<Specs>,
  callee: (...args: never[]) => unknown = task,
): Task<Specs> {
  return new DeclaredTask(definition, new CallSite(callee)) as unknown as Task<Specs>;
}

/** A class, since getters of its own would make of each task a dictionary that is slow to read. */
class DeclaredTask {
  readonly #site: CallSite;

  constructor(definition: object, site: CallSite) {
    this.#site = site;
    Object.assign(this, definition);
  }

  get file(): string {
    return this.#site.place.file;
  }

  get line(): number {
    return this.#site.place.line;
  }
}

/** Names of the arguments that a need has to give: the others have a default, are optional or may come from the environment. */
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

/** A need with arguments; what has a default may be left out. */
export function need<Specs extends ArgumentSpecs>(
  needed: Task<Specs>,
  ...args: [RequiredNames<Specs>] extends [never] ? [GivenArguments<Specs>?] : [GivenArguments<Specs>]
): Need {
  return { task: needed, args: (args[0] ?? {}) as ArgumentValues };
}

/** What a task declares as a value or as a function of its input. */
export function declared<Value>(
  field: Value | ((input: TaskInput) => Value) | undefined,
  input: TaskInput,
): Value | undefined {
  return typeof field === 'function' ? (field as (input: TaskInput) => Value)(input) : field;
}

/** Whether the task has no work of its own and only stands for its needs. */
export async function isEmpty(task: AnyTask, input: TaskInput): Promise<boolean> {
  return task.run === undefined && (await task.commands(input)).length === 0;
}

/** The needs of a task for one input, all in the long form. */
export function needsOf({ needs }: AnyTask, input: TaskInput): Required<Need>[] {
  return longForm(declared<Needs>(needs, input) ?? []);
}

/** Its finalisers, likewise. */
export function finalisersOf({ finally: finalisers }: AnyTask, input: TaskInput): Required<Need>[] {
  return longForm(declared<Needs>(finalisers, input) ?? []);
}

/** Tasks as they are declared, each with its arguments. */
export function longForm(needs: Needs): Required<Need>[] {
  return needs.map((entry) =>
    // Not everything has fields: `needs: ['build']` is refused by the compiler, and by the check of the graph.
    Object.hasOwn(Object(entry), 'task')
      ? { args: {}, ...(entry as Need) }
      : { task: entry as AnyTask, args: {} },
  );
}
