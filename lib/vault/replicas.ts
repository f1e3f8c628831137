import { type TaskContext, TaskError } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { poll } from '../ground/poll.ts';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import {
  type Connection,
  type ForwardContext,
  type ForwardTarget,
  withPortForward,
} from '../kubernetes/port-forward.ts';
import type { ShellContext } from '../settings/context.ts';
import { vaultIdentity } from './api/certificate.ts';
import { type VaultClient, type VaultClientInput, vaultClient } from './api/client.ts';
import { type Replica, sealStatus } from './api/replica.ts';
import { UntrustedError } from './api/vault-error.ts';

/** kubectl's answer for the release: its StatefulSet and pods. */
type VaultWorkload = {
  readonly kind: string;
  readonly spec?: {
    readonly replicas?: number;
  };
  readonly metadata: {
    readonly name: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly status?: { readonly phase?: string };
};

/** Vault's servers: reachable pods by ordinal, and the others, which may not exist. */
type VaultPods = {
  readonly running: readonly string[];
  readonly others: readonly string[];
  /** True if all replicas are running. */
  readonly complete: boolean;
};

/** Label on the objects of the release `vault`, with any chart. */
export const vaultSelector = 'app.kubernetes.io/instance=vault';

/** Vault's servers: the pods of its StatefulSet. A pod that is being deleted counts as not running. */
function vaultPods(objects: readonly VaultWorkload[]): VaultPods {
  const servers = objects
    .filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ kind, name }) => kind === 'StatefulSet' && name === 'vault'),
    )
    .sort((left, right) => ordinal(left) - ordinal(right));
  const runs = ({ metadata, status }: VaultWorkload) =>
    status?.phase === 'Running' && metadata.deletionTimestamp === undefined;
  const running = servers.filter(runs).map(({ metadata }) => metadata.name);
  const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'vault');
  const replicas = set?.spec?.replicas ?? 0;
  const declared = Array.from({ length: replicas }, (_, number) => `vault-${number}`);
  const names = [...new Set([...servers.map(({ metadata }) => metadata.name), ...declared])];
  return {
    running,
    others: names.filter((name) => !running.includes(name)),
    complete: running.length > 0 && running.length >= replicas,
  };
}

const ordinal = ({ metadata }: VaultWorkload): number => Number(/-(\d+)$/.exec(metadata.name)?.[1] ?? 0);

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
  if (servers)
    return use(
      running.map((pod) => replica(pod, { host: '127.0.0.1', port: servers.vault })),
      [],
    );
  return forward(running, []);

  function forward([pod, ...rest]: readonly string[], replicas: readonly Replica[]): Promise<Result> {
    if (pod === undefined) return use(replicas, others);
    const answers = ({ host, port }: Connection) =>
      isVault(vaultClient({ identity, address: `https://${host}:${port}`, timeoutMs: 3000 }));
    const target = { ...vaultPorts, resource: `pod/${pod}`, waitMs, answers };
    return withPortForward(context, target, (connection) =>
      forward(rest, [...replicas, replica(pod, connection)]),
    );
  }
}

/**
 * True if Vault answers, sealed or not, or a server that cannot be verified, about which the caller's own call tells.
 */
const isVault = (client: VaultClient): Promise<boolean> =>
  sealStatus(client).then(
    () => true,
    (error: unknown) => error instanceof UntrustedError,
  );

const vaultPorts = { namespace: 'vault', port: 8200 };

/** Vault's Service, which reaches any of its pods. */
export async function vaultTarget(context: ShellContext): Promise<ForwardTarget> {
  const identity = await vaultIdentity(context);
  const answers = ({ host, port }: Connection) =>
    isVault(vaultClient({ identity, address: `https://${host}:${port}`, timeoutMs: 3000 }));
  return { ...vaultPorts, resource: 'svc/vault', answers };
}

async function podsOf(context: ForwardContext, waitMs: number): Promise<VaultPods> {
  const words = ['-n', 'vault', 'get', 'statefulsets,pods', '--selector', vaultSelector];
  let found: VaultPods = { running: [], others: [], complete: false };
  await poll(
    async () => {
      found = vaultPods(await kubectlList<VaultWorkload>(context, ...words));
      return found.complete ? true : undefined;
    },
    waitMs,
    context.signal,
  );
  return found;
}
