import {
  type ArgumentSpecs,
  type Arguments,
  task as declareTask,
  type Options,
  type Task,
  type TaskContext,
  type TaskDefinition,
  type TaskInput,
} from '@k8s-deployment/runner';
import type { ClusterProvider } from '../lib/cluster/provider.ts';
import { providerOf } from '../lib/cluster/providers.ts';
import { root } from '../lib/ground/project.ts';
import type { EnvironmentContext, InEnvironment, Outcome, Target } from '../lib/settings/context.ts';
import { environmentOf, processEnvironment, removeRunFolders } from '../lib/settings/environment.ts';
import type { GlobalOptions } from '../lib/settings/global-options.ts';

/*
 * Declares the project's tasks: adds environment, settings and provider to the runner's context. Every start declares
 * all tasks, so bodies import their code when they run.
 */

export type Early<Specs extends ArgumentSpecs = ArgumentSpecs> = Omit<TaskInput<Specs>, 'options'> &
  InEnvironment & { readonly options: GlobalOptions; readonly provider: ClusterProvider };

/** The argument of `check` and `commands`. */
export type Input<Specs extends ArgumentSpecs = ArgumentSpecs> = Early<Specs> & Target;

/** The argument of `run`. */
export type Body<Specs extends ArgumentSpecs = ArgumentSpecs> = BodyOf<Specs> & Target;

type BodyOf<Specs extends ArgumentSpecs> = EnvironmentContext &
  Pick<Early, 'provider'> & { readonly args: Arguments<Specs> };

/** Fields read before the run, with synchronous input. */
const earlyFields = ['needs', 'steps', 'after', 'finally', 'confirm'] as const;

/** Fields that get the settings too. */
const knownFields = ['inputs', 'status', 'watched', 'commands'] as const;

type EarlyField = (typeof earlyFields)[number];
type KnownField = (typeof knownFields)[number] | 'check';

/** A field of the runner whose function gets another input. */
type With<Input, Field> = Field extends (input: never, ...more: infer More) => infer Result
  ? (input: Input, ...more: More) => Result
  : Field;

type AllWith<Input, Fields> = { readonly [Name in keyof Fields]: With<Input, Fields[Name]> };

type Definition<Specs extends ArgumentSpecs, Known, Given> = Omit<
  TaskDefinition<Specs>,
  EarlyField | KnownField | 'run'
> &
  AllWith<Early<Specs>, Pick<TaskDefinition<Specs>, EarlyField>> &
  AllWith<Known, Pick<TaskDefinition<Specs>, KnownField>> & {
    /** Its outcome, if any, is reported. */
    readonly run?: (context: Given) => Promise<Outcome | undefined> | Promise<void>;
    /** True if `run` needs a running cluster; without one the task fails with advice. */
    readonly onCluster?: boolean | ((context: Given) => boolean);
  };

/**
 * For short-lived Go programs: rarer garbage collection saves helmfile a quarter of its CPU. Servers would keep the
 * memory.
 */
const briefPrograms = { GOGC: '400' };

type NoArguments = Record<never, never>;

/** Declares a task on an environment. Unreadable settings end the run. */
export function task<const Specs extends ArgumentSpecs = NoArguments>(
  definition: Definition<Specs, Input<Specs>, Body<Specs>>,
): Task<Specs> {
  return declare(definition, task, async ({ environment }) => ({
    settings: await (await import('../lib/settings/settings.ts')).loadSettings(environment),
  }));
}

/** Declares a task without settings, to show or remove an environment whose settings may be damaged. */
export function taskWithoutSettings<const Specs extends ArgumentSpecs = NoArguments>(
  definition: Definition<Specs, Early<Specs>, BodyOf<Specs>>,
): Task<Specs> {
  return declare(definition, taskWithoutSettings, async () => ({}));
}

function declare<Specs extends ArgumentSpecs, More extends object>(
  definition: Definition<Specs, Early<Specs> & More, BodyOf<Specs> & More>,
  declaration: (definition: never) => Task<Specs>,
  withSettings: (early: InEnvironment) => Promise<More>,
): Task<Specs> {
  const early = <Given extends { readonly options: Options }>(given: Given) => {
    const options = given.options as GlobalOptions;
    const environment = environmentOf(options, root);
    return { ...given, options, environment, provider: providerOf(environment) };
  };
  const known = async <Given extends { readonly options: Options }>(given: Given) => {
    const found = early(given);
    return { ...found, ...(await withSettings(found)) };
  };
  const { run, check, onCluster, ...rest } = definition;
  const fields: { [name: string]: unknown } = { ...rest };
  for (const name of earlyFields) {
    const field: unknown = definition[name];
    if (typeof field === 'function') fields[name] = (input: TaskInput<Specs>) => field(early(input));
  }
  for (const name of knownFields) {
    const field: unknown = definition[name];
    if (typeof field === 'function')
      fields[name] = async (input: TaskInput<Specs>) => field(await known(input));
  }
  if (check || onCluster === true)
    fields.check = async (input: TaskInput<Specs>, names: readonly string[]) => {
      const given = await known(input);
      await check?.(given, names);
      if (onCluster !== true || names.includes('create-k8s')) return;
      await (await import('../lib/cluster/messages.ts')).requireCreated(given.environment);
    };
  if (run)
    fields.run = async (context: TaskContext<Specs>) => {
      const given = await known(context);
      if (definition.lock) await removeRunFolders(given.environment.state);
      const variables = await processEnvironment(given.environment, context);
      const env = { ...briefPrograms, ...variables };
      const body = { ...given, $: context.$({ env, cwd: given.environment.root }) };
      if (typeof onCluster === 'function' ? onCluster(body) : onCluster) {
        const { requireCluster } = await import('../lib/cluster/cluster.ts');
        await requireCluster(body, definition.lock ? 'change' : 'read');
      }
      const outcome = await run(body);
      if (outcome !== undefined) context.report(outcome);
    };
  return declareTask<Specs>(fields as TaskDefinition<Specs>, declaration);
}
