import type { Shell, TaskContext } from '@k8s-deployment/runner';
import type { Environment } from './environment.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Settings } from './settings.ts';

export type InEnvironment = { readonly environment: Environment };

/** An environment with its settings, which is enough for plain commands. */
export type Target = InEnvironment & { readonly settings: Settings };

/** The context of functions that work even if the environment's settings are damaged or missing. */
export type EnvironmentContext = Omit<TaskContext, 'args' | 'options' | '$'> &
  InEnvironment & {
    readonly options: GlobalOptions;
    /** The task's shell with the environment's variables, in the project's folder. */
    readonly $: Shell;
  };

/** The context of functions that run commands on an environment. */
export type ShellContext = Pick<EnvironmentContext, '$' | 'environment'> &
  Partial<Pick<EnvironmentContext, 'onRunEnd' | 'log'>>;

/** The full context of functions in lib/; most take only a part. */
export type Context = EnvironmentContext & Target;
