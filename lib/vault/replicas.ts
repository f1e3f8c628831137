import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import type { ServerIdentity } from '../certificates/server.ts';
import { providerOf } from '../cluster/providers.ts';
import { poll } from '../ground/poll.ts';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import { podsAmong, type SetPod } from '../kubernetes/on-delete.ts';
import {
  type Connection,
  type ForwardContext,
  type ForwardTarget,
  withPortForward,
} from '../kubernetes/port-forward.ts';
import type { ShellContext } from '../settings/context.ts';
import { vaultIdentity } from './api/certificate.ts';
import { type VaultClientInput, vaultClient } from './api/client.ts';
import { type Replica, sealStatus } from './api/replica.ts';
import { UntrustedError } from './api/vault-error.ts';

/** An object of the release: its StatefulSet or a pod. */
type VaultWorkload = SetPod & { readonly kind: string; readonly spec?: { readonly replicas?: number } };

/** Label on the objects of the release `vault`, with any chart. */
export const vaultSelector = 'app.kubernetes.io/instance=vault';

/** True if Vault is deployed, running or not: as a process beside the cluster or as a release. */
export async function hasVault(context: ShellContext): Promise<boolean> {
  const { environment } = context;
  if (providerOf(environment).servers) return true;
  const words = ['-n', 'vault', 'get', 'statefulsets', '--selector', vaultSelector];
  return (await kubectlList<VaultWorkload>(context, ...words)).length > 0;
}

/**
 * Calls `use` with a client for each server of Vault: the process beside the cluster, or every running pod, and with
 * the names of the pods that do not run. Waits up to `waitMs` milliseconds for the pods, and as long again for answers.
 * Throws `TaskError` if no pod runs.
 */
export async function withVaultReplicas<Result>(
  context: ForwardContext & Partial<Pick<TaskContext, 'log'>>,
  waitMs: number,
  client: Omit<VaultClientInput, 'address' | 'identity'>,
  use: (replicas: readonly Replica[], absent: readonly string[]) => Promise<Result>,
): Promise<Result> {
  const { environment } = context;
  const servers = await providerOf(environment).servers?.(environment);
  const { running, others } = servers ? { running: ['vault'], others: [] } : await podsOf(context, waitMs);
  if (others.length > 0) context.log?.(`skipped, since they do not run: ${others.join(', ')}`);
  if (running.length === 0) {
    throw new TaskError({
      what: 'no pod of Vault is running',
      why:
        others.length > 0
          ? `${others.join(', ')} cannot be reached`
          : 'the namespace vault has no pod of Vault',
      advice: `see: ${kubectlText(environment)} -n vault get pods`,
    });
  }
  const identity = await vaultIdentity(context);
  const replica = (name: string, { host, port }: Connection): Replica => ({
    name,
    client: vaultClient({ ...client, identity, address: `https://${host}:${port}` }),
  });
  if (servers) return use([replica('vault', { host: '127.0.0.1', port: servers.vault })], []);
  const forward = ([pod, ...rest]: readonly string[], replicas: readonly Replica[]): Promise<Result> =>
    pod === undefined
      ? use(replicas, others)
      : withPortForward(context, { ...targetOf(identity), resource: `pod/${pod}`, waitMs }, (connection) =>
          forward(rest, [...replicas, replica(pod, connection)]),
        );
  return forward(running, []);
}

const targetOf = (identity: ServerIdentity) => ({
  ...{ namespace: 'vault', port: 8200 },
  /** True for Vault, sealed or not, and a server that cannot be verified, about which the caller's own call tells. */
  answers: ({ host, port }: Connection) =>
    sealStatus(vaultClient({ identity, address: `https://${host}:${port}`, timeoutMs: 3000 })).then(
      () => true,
      (error: unknown) => error instanceof UntrustedError,
    ),
});

/** Vault's Service, which reaches any of its pods. */
export const vaultTarget = async (context: ShellContext): Promise<ForwardTarget> => ({
  ...targetOf(await vaultIdentity(context)),
  resource: 'svc/vault',
});

/**
 * Vault's pods by ordinal: those that run, and the others, which may not exist. A pod that is being deleted counts as
 * not running. Waits up to `waitMs` milliseconds until all run.
 */
async function podsOf(context: ForwardContext, waitMs: number) {
  const words = ['-n', 'vault', 'get', 'statefulsets,pods', '--selector', vaultSelector];
  let running: readonly string[] = [];
  let others: readonly string[] = [];
  const isRunning = ({ metadata, status }: VaultWorkload) =>
    status?.phase === 'Running' && metadata.deletionTimestamp === undefined;
  const namesOf = (pods: readonly VaultWorkload[]) => pods.map(({ metadata }) => metadata.name);
  const all = async () => {
    const objects = await kubectlList<VaultWorkload>(context, ...words);
    const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'vault');
    const declared = Array.from({ length: set?.spec?.replicas ?? 0 }, (_, number) => `vault-${number}`);
    const pods = podsAmong(objects, 'vault').reverse();
    running = namesOf(pods.filter(isRunning));
    others = [...new Set([...namesOf(pods), ...declared])].filter((name) => !running.includes(name));
    return (running.length > 0 && running.length >= declared.length) || undefined;
  };
  await poll(all, waitMs, context.signal);
  return { running, others };
}
