import type { Outcome } from '../ground/outcome.ts';
import type { Address } from '../ingress/addresses.ts';
import type { Context, EnvironmentContext, Target } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import type { Settings } from '../settings/settings.ts';
import type { ToolName } from '../tools/manifest.ts';
import type { OwnImage } from './images/own-images.ts';

export type ClusterPhase = 'absent' | 'creating' | 'running' | 'degraded' | 'stopped';

/**
 * What a kind of cluster is: all that differs between the providers and is decided outside of its folder. Known to every room and
 * at every start, so it is small; `load` brings what it does.
 */
export type ClusterProvider = {
  /** True if the cluster is created on this machine and destroyed by these tasks. */
  readonly ownsCluster: boolean;
  /** True if no container runs: the ingress, the images and Reloader have no effect. */
  readonly simulatedPods: boolean;
  /** How the project's own images get to the nodes: loaded by us, pulled from a registry, or not at all. */
  readonly images: 'loaded' | 'pulled' | 'unused';
  /** Tools beside those of every environment. */
  readonly tools: readonly ToolName[];
  /** The tools of single tasks: those of `stop` also of destroy-k8s, `destroy` of destroy-environment; `status`: what tells the phase. */
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
  /** The kube context of a cluster of this name; without it the user names the context. */
  readonly contextOf?: (clusterName: string) => string;
  /** A layer of settings that the provider writes to the state folder. */
  readonly settingsFile?: string;
  /** The pod network that every cluster gets unless the network comes from a manifest. */
  readonly podRange?: string;
  /** The plain command that prints the address of a node, where the routes are reached by the nodes' ports. */
  readonly nodeAddress?: (clusterName: string) => string;
  /** True if this machine and user (a uid) can have such a cluster. Without it the provider is never chosen by itself. */
  readonly fits?: (user: number | undefined) => Promise<boolean>;
  /** Where Vault and PostgreSQL run or will run as processes of this machine; without it they run in pods. */
  readonly servers?: (environment: Environment) => Promise<Servers>;
  readonly load: () => Promise<Cluster>;
};

/** Servers beside a cluster. */
export type Servers = {
  /** Ports on 127.0.0.1. */
  readonly vault: number;
  readonly postgresql: number;
  /** The API server as Vault reaches it; the certificate's path is relative to the project. */
  readonly api: { readonly host: string; readonly caCertificateFile: string };
  /** What `settingsFile` holds of Vault. */
  readonly settings: Settings['vault'];
};

/**
 * What a provider does. The methods may be called again and again: what is done already is left alone. They throw
 * `TaskError` with advice; commands are pure and print nothing secret.
 */
export type Cluster = {
  /** What the tasks stand for, for `--dry-run`; what cannot be done is a `#` line. */
  readonly commands: {
    create(target: Target): readonly string[];
    start(target: Target): readonly string[];
    stop(environment: Environment): readonly string[];
    destroy(environment: Environment): readonly string[] | Promise<readonly string[]>;
    services(target: Target): readonly string[];
  };
  /**
   * Throws `UsageError` when this user (a uid) can never work with such a cluster, `TaskError` when what it runs on does not answer;
   * called before anything is written.
   */
  check?(settings: Settings, user: number | undefined): Promise<void>;
  /** Throws `TaskError` unless the cluster answers; where its phase says less than the reason. */
  requireAnswer?(context: EnvironmentContext): Promise<void>;
  /** Of a degraded cluster: what is wrong, each in a few words. */
  faults?(context: EnvironmentContext): Promise<readonly string[]>;
  phase(context: EnvironmentContext): Promise<ClusterPhase>;
  create(context: Context): Promise<Outcome>;
  start(context: Context): Promise<Outcome>;
  stop(context: EnvironmentContext): Promise<Outcome>;
  /** Of a cluster that is not ours, all that we put into it. */
  destroy(context: EnvironmentContext): Promise<Outcome>;
  addresses(context: Context): Promise<readonly Address[]>;
  /** Loads the project's own images into the nodes, and the same as plain commands; with `images: 'loaded'`. */
  readonly images?: {
    commands(target: Target, images: readonly OwnImage[]): Promise<readonly string[]>;
    load(context: Context, images: readonly OwnImage[]): Promise<Outcome>;
  };
  /** Gives a new certificate to a PostgreSQL that runs beside the cluster. */
  reloadDatabase?(environment: Environment): Promise<void>;
};
