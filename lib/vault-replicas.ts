import { providerOf } from './cluster/cluster.ts';
import { type Environment, shellOf } from './environment.ts';
import { type Connection, kubectlJson, kubectlText, withPortForward } from './kubectl.ts';
import { type TaskContext, TaskError } from './runner/runner.ts';

export type Pod = {
  readonly metadata: {
    readonly name: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly status?: { readonly phase?: string };
};

/** Every server of Vault: pods that can be reached, in the order in which they were made, and those that cannot. */
export type VaultPods = { readonly running: readonly string[]; readonly others: readonly string[] };

export type NamedConnection = Connection & { readonly name: string };

/** The pods that carry this label are those of the release `vault`, whichever chart made them. */
export const vaultSelector = 'app.kubernetes.io/instance=vault';

/** The servers among the pods of the release: those of its StatefulSet. A pod that is going away counts as not running. */
export function vaultPods(pods: readonly Pod[]): VaultPods {
  const servers = pods
    .filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ kind, name }) => kind === 'StatefulSet' && name === 'vault'),
    )
    .sort((left, right) => ordinal(left) - ordinal(right));
  const runs = ({ metadata, status }: Pod) =>
    status?.phase === 'Running' && metadata.deletionTimestamp === undefined;
  const names = (list: readonly Pod[]) => list.map(({ metadata }) => metadata.name);
  return { running: names(servers.filter(runs)), others: names(servers.filter((pod) => !runs(pod))) };
}

const ordinal = ({ metadata }: Pod): number => Number(/-(\d+)$/.exec(metadata.name)?.[1] ?? 0);

/**
 * Calls `use` with an address of this machine for each server of Vault: the process beside the embedded cluster, or every
 * pod. Throws `TaskError` when there is none.
 */
export async function withVaultReplicas<Result>(
  context: Pick<TaskContext, '$' | 'options'> & Partial<Pick<TaskContext, 'log'>>,
  environment: Environment,
  use: (connections: readonly NamedConnection[]) => Promise<Result>,
): Promise<Result> {
  const port = await providerOf(environment).direct(environment, 'vault');
  if (port !== undefined) return use([{ name: 'vault', host: '127.0.0.1', port }]);
  const $ = await shellOf(context);
  const words = ['-n', 'vault', 'get', 'pods', '--selector', vaultSelector];
  const { items } = await kubectlJson<{ items: readonly Pod[] }>($, environment, ...words);
  const { running, others } = vaultPods(items);
  if (others.length > 0) context.log?.(`left out, since they do not run: ${others.join(', ')}`);
  if (running.length === 0) {
    throw new TaskError({
      what: 'no pod of Vault runs',
      why: others.length > 0 ? `${others.join(', ')} cannot be reached` : 'the namespace vault has none',
      advice: `see: ${kubectlText(environment)} -n vault get pods`,
    });
  }
  return forward(running, []);

  function forward(names: readonly string[], connections: readonly NamedConnection[]): Promise<Result> {
    const [name, ...rest] = names;
    if (name === undefined) return use(connections);
    return withPortForward(
      context,
      environment,
      { namespace: 'vault', resource: `pod/${name}`, port: 8200 },
      (connection) => forward(rest, [...connections, { name, ...connection }]),
    );
  }
}
