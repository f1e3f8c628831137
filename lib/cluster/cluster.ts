import { isPostgresqlReady } from '../database/postgresql.ts';
import { taskCommand } from '../ground/launcher.ts';
import {
  type Connection,
  type ForwardContext,
  podStartMs,
  withPortForward,
} from '../kubernetes/port-forward.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import type { Environment } from '../settings/environment.ts';
import type { ProviderName } from '../settings/settings.ts';
import { embedded } from './embedded/embedded.ts';
import { checkReachable, existing } from './existing.ts';
import { minikube } from './minikube/minikube.ts';
import type { ClusterProvider } from './provider.ts';

const providers: { readonly [name in ProviderName]: ClusterProvider } = { minikube, embedded, existing };

export const providerOf = (environment: Pick<Environment, 'provider'>): ClusterProvider =>
  providers[environment.provider];

/** Throws `TaskError` with the right advice unless the cluster is there and can be talked to. */
export async function requireCluster(environment: Environment, context: TaskContext): Promise<void> {
  // The task `connect` has written its kubeconfig.
  if (environment.provider === 'existing') return checkReachable(environment, context);
  const phase = await providerOf(environment).phase(environment, context);
  const cluster = `the cluster of environment \`${environment.name}\``;
  switch (phase) {
    case 'running':
      return;
    case 'absent':
      throw new TaskError({
        what: `${cluster} is not created`,
        why: 'this task needs one',
        advice: `run ${taskCommand('create-environment')}, or ${taskCommand('create-k8s')} for the cluster alone`,
      });
    case 'creating':
      throw new TaskError({
        what: `${cluster} is only half created`,
        why: 'the run that made it did not come to its end',
        advice: `run ${taskCommand('create-environment')} again: it goes on`,
      });
    case 'stopped':
      throw new TaskError({
        what: `${cluster} is stopped`,
        why: 'this task needs it',
        advice: `run ${taskCommand('start-k8s')}`,
      });
    case 'degraded':
      throw new TaskError({
        what: `${cluster} is degraded`,
        why:
          (await providerOf(environment).faults?.(environment, context))?.join(', ') ?? 'it does not answer',
        advice: `run ${taskCommand('start-k8s')}: it starts what is missing; ${taskCommand('status')} shows more`,
      });
    default: {
      const never: never = phase;
      throw new Error(`unknown phase ${String(never)}`);
    }
  }
}

const targets = {
  postgresql: {
    namespace: 'database',
    resource: 'svc/postgresql',
    port: 5432,
    answers: ({ host, port }: Connection) => isPostgresqlReady(host, port),
  },
};

/**
 * Calls `use` with an address of this machine that leads to PostgreSQL of the environment; those of Vault: vault-replicas.ts. A pod
 * may take up to `waitMs` milliseconds to answer.
 */
export async function withServer<Result>(
  context: ForwardContext,
  environment: Environment,
  server: keyof typeof targets,
  use: (connection: Connection) => Promise<Result>,
  waitMs = podStartMs,
): Promise<Result> {
  const port = await providerOf(environment).direct(environment, server);
  if (port !== undefined) return use({ host: '127.0.0.1', port });
  return withPortForward(context, environment, { ...targets[server], waitMs }, use);
}
