import type { Shell, TaskContext } from '@k8s-deployment/runner';
import type { ProviderName } from '../cluster/providers.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Settings } from './schema.ts';

export type { ChartSetting, DatabaseRoles, ImageSetting, Settings } from './schema.ts';

/** An environment's names and paths. Its data is below `state`. */
export type Environment = {
  readonly name: string;
  readonly provider: ProviderName;
  /** The project's folder. */
  readonly root: string;
  /** Absolute path of `.state/<environment>`. */
  readonly state: string;
  readonly kubeconfig: string;
  /** Name of the kube context. Always passed explicitly; "the current context" is never used. */
  readonly context: string;
  /** minikube's profile or kwokctl's cluster, unique per clone and environment. */
  readonly clusterName: string;
  readonly gnupgHome: string;
  /** `state`, or a link to it if its path contains special characters. */
  readonly plainState: string;
};

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

/** What a step did to the environment. */
export type Outcome = 'changed' | 'unchanged';
