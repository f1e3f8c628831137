import type { Address } from '../ingress/routes.ts';
import type {
  Context,
  Environment,
  EnvironmentContext,
  InEnvironment,
  Outcome,
  Settings,
  Target,
} from '../settings/context.ts';
import type { ToolName } from '../tools/manifest.ts';
import type { BuiltImage } from './images/own-images.ts';

export type ClusterPhase = 'absent' | 'creating' | 'running' | 'degraded' | 'stopped';

/** The faults of a degraded cluster are in a few words each; it comes with advice if `start-k8s` does not help. */
export type ClusterState = {
  readonly phase: ClusterPhase;
  readonly faults?: readonly string[];
  readonly advice?: string | undefined;
};

/** A kind of cluster. Every start loads this small part; `load` imports the implementation. */
export type ClusterProvider = {
  /** True if the tasks create and destroy the cluster on this machine. */
  readonly ownsCluster: boolean;
  /** True if no container runs, so that ingress, images and Reloader have no effect. */
  readonly simulatedPods: boolean;
  /** Tools in addition to those of every environment. */
  readonly tools: readonly ToolName[];
  /** Tools by task: `stop` includes destroy-k8s, `destroy` is destroy-environment, `status` finds the phase. */
  readonly toolsFor: {
    readonly [task in
      | 'create'
      | 'start'
      | 'stop'
      | 'destroy'
      | 'services'
      | 'images'
      | 'status']: readonly ToolName[];
  };
  /** A cluster's kube context; if omitted, the user names the context. */
  readonly contextOf?: (clusterName: string) => string;
  /** File in the state folder with the provider's settings. */
  readonly settingsFile?: string;
  /** The pod network, unless a manifest sets up the network. */
  readonly podRange?: string;
  /** A plain command that prints a node's address, if routes use node ports. */
  readonly nodeAddress?: (clusterName: string) => string;
  /** True if this machine and user (uid) can run such a cluster. If omitted, only the user can choose it. */
  readonly fits?: (user: number | undefined) => Promise<boolean>;
  /** Vault and PostgreSQL as local processes, even before they exist; if omitted, they run in pods. */
  readonly servers?: (environment: Environment) => Promise<Servers>;
  readonly load: () => Promise<Cluster>;
};

export type Servers = {
  /** Ports on 127.0.0.1. */
  readonly vault: number;
  readonly postgresql: number;
  /** The API server's address for Vault; the certificate's path is relative to the project. */
  readonly api: { readonly host: string; readonly caCertificateFile: string };
  /** Vault's part of `settingsFile`. */
  readonly settings: Omit<Settings['vault'], 'tls'>;
};

/** What a task does with the cluster. */
export type Purpose = 'read' | 'change';

/** A provider's operations. Methods are idempotent and throw `TaskError`; commands are pure and show no secret. */
export type Cluster = {
  /** Plain commands of the tasks for `--dry-run`; a `#` line for what is not possible. */
  readonly commands: {
    create(target: Target): readonly string[];
    start(target: Target): readonly string[];
    stop(target: InEnvironment): readonly string[];
    destroy(target: InEnvironment): readonly string[] | Promise<readonly string[]>;
    services(target: Target): readonly string[];
  };
  /**
   * Called before anything is written. Throws `UsageError` if this user (uid) can never use such a cluster,
   * `TaskError` if its infrastructure does not answer.
   */
  check?(settings: Settings, user: number | undefined): Promise<void>;
  /**
   * Throws `TaskError` unless the cluster answers, and to change it, if the environment's namespaces are somebody
   * else's; for providers whose phase does not tell this.
   */
  requireAnswer?(context: EnvironmentContext, purpose: Purpose): Promise<void>;
  /**
   * Throws `TaskError` if the cluster lacks what these releases (by default all) need; before anything is installed.
   */
  checkRequirements?(context: Context, releases?: readonly string[]): Promise<void>;
  state(context: EnvironmentContext): Promise<ClusterState>;
  create(context: Context): Promise<Outcome>;
  start(context: Context): Promise<Outcome>;
  stop(context: EnvironmentContext): Promise<Outcome>;
  /** Destroys the cluster; on an existing one, only removes what the tasks installed. */
  destroy(context: EnvironmentContext): Promise<Outcome>;
  addresses(context: Context): Promise<readonly Address[]>;
  /** Loads the project's images into the nodes; for `ownsCluster` without `simulatedPods`. Others pull them. */
  readonly images?: {
    commands(target: InEnvironment, images: readonly BuiltImage[]): readonly string[];
    load(context: EnvironmentContext, images: readonly BuiltImage[]): Promise<Outcome>;
  };
  /** Makes servers beside the cluster load their certificates again. */
  reloadCertificates?(environment: Environment): Promise<void>;
};
