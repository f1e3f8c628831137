import type { Outcome } from '../ground/outcome.ts';
import type { Address } from '../ingress/addresses.ts';
import type { TaskContext } from '../runner/runner.ts';
import type { Environment } from '../settings/environment.ts';
import type { ProviderName, Settings } from '../settings/settings.ts';

export type ClusterPhase = 'absent' | 'creating' | 'running' | 'degraded' | 'stopped';

/**
 * A kind of cluster. The methods may be called again and again: what is done already is left alone. They throw
 * `TaskError` with advice; commands are pure and print nothing secret.
 */
export type ClusterProvider = {
  readonly name: ProviderName;
  /** What the tasks stand for, for `--dry-run`; what cannot be done is a `#` line. */
  readonly commands: {
    create(environment: Environment, settings: Settings): readonly string[];
    start(environment: Environment, settings: Settings): readonly string[];
    stop(environment: Environment): readonly string[];
    destroy(environment: Environment): readonly string[];
    services(environment: Environment, settings: Settings): readonly string[];
  };
  /**
   * Throws `UsageError` when this user (a uid) can never work with such a cluster, `TaskError` when what it runs on does not answer;
   * called before anything is written.
   */
  check?(settings: Settings, user: number | undefined): Promise<void>;
  /** Of a degraded cluster: what is wrong, each in a few words. */
  faults?(environment: Environment, context: TaskContext): Promise<readonly string[]>;
  phase(environment: Environment, context: TaskContext): Promise<ClusterPhase>;
  create(environment: Environment, settings: Settings, context: TaskContext): Promise<Outcome>;
  start(environment: Environment, settings: Settings, context: TaskContext): Promise<Outcome>;
  stop(environment: Environment, context: TaskContext): Promise<Outcome>;
  destroy(environment: Environment, context: TaskContext): Promise<Outcome>;
  addresses(environment: Environment, settings: Settings, context: TaskContext): Promise<readonly Address[]>;
  /** Where Vault or PostgreSQL listens on this machine, when no port-forward is needed. */
  direct(environment: Environment, service: 'vault' | 'postgresql'): Promise<number | undefined>;
};
