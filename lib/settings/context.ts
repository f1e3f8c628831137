import type { Shell, TaskContext } from '@k8s-deployment/runner';
import type { Environment } from './environment.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Settings } from './settings.ts';

/** What knows its environment. */
export type InEnvironment = { readonly environment: Environment };

/** An environment with its settings, enough for plain commands. */
export type Target = InEnvironment & { readonly settings: Settings };

/** The context of functions for an environment whose settings may be damaged or missing. */
export type EnvironmentContext = Omit<TaskContext, 'args' | 'options' | '$'> &
  InEnvironment & {
    readonly options: GlobalOptions;
    /** The task's shell with the environment's variables, in the project's folder. */
    readonly $: Shell;
  };

/** The context of functions that run commands on an environment. */
export type ShellContext = Pick<EnvironmentContext, '$' | 'environment'>;

/** The context that the functions of lib/ take, or the part of it that they use. */
export type Context = EnvironmentContext & Target;
