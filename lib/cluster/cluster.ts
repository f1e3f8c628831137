import { isLostConnection, isPostgresqlReady } from '../database/login.ts';
import {
  type Connection,
  type ForwardContext,
  podStartMs,
  withPortForward,
} from '../kubernetes/port-forward.ts';
import type { Environment, EnvironmentContext, Settings, Target } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { notRunning } from './messages.ts';
import type { Cluster, Purpose } from './provider.ts';
import { providerOf } from './providers.ts';

/** The provider's implementation for the environment's cluster. */
export const clusterOf = (environment: Pick<Environment, 'provider'>): Promise<Cluster> =>
  providerOf(environment).load();

/** Throws `TaskError` unless the cluster is running and answers, and is not somebody else's to change. */
export async function requireCluster(context: EnvironmentContext, purpose: Purpose = 'read'): Promise<void> {
  const { environment } = context;
  const cluster = await clusterOf(environment);
  if (cluster.requireAnswer) return cluster.requireAnswer(context, purpose);
  const { phase, faults } = await cluster.state(context);
  if (phase !== 'running') throw notRunning(environment, phase, faults);
}

export const postgresqlTarget = ({ database }: Settings) => ({
  namespace: 'database',
  resource: 'svc/postgresql',
  port: database.port,
  answers: ({ host, port }: Connection) => isPostgresqlReady(host, port),
});

/**
 * Calls `use` with a local address of the environment's PostgreSQL; for Vault see lib/vault/replicas.ts. Waits up to
 * `waitMs` milliseconds for a pod to answer.
 */
export async function withPostgresql<Result>(
  context: ForwardContext & Partial<Pick<Target, 'settings'>>,
  use: (connection: Connection) => Promise<Result>,
  waitMs = podStartMs,
): Promise<Result> {
  const { environment } = context;
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) return use({ host: '127.0.0.1', port: servers.postgresql });
  const target = postgresqlTarget(context.settings ?? (await loadSettings(environment)));
  for (let attempt = 1; ; attempt++) {
    try {
      return await withPortForward(context, { ...target, waitMs }, use);
    } catch (error) {
      if (attempt === 3 || !isLostConnection(error)) throw error;
    }
  }
}
