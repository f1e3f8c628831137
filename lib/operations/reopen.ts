import { withPostgresql } from '../cluster/cluster.ts';
import type { Outcome } from '../ground/outcome.ts';
import { poll } from '../ground/poll.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { controllerOf } from '../ingress/controllers.ts';
import { kubectl, kubectlList } from '../kubernetes/kubectl.ts';
import { readPods, unreadyOf } from '../kubernetes/pods.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import type { Context, EnvironmentContext } from '../settings/context.ts';
import type { Settings } from '../settings/settings.ts';
import { unseal } from '../vault/access.ts';

/**
 * Unseals Vault on a cluster with real nodes and waits for PostgreSQL. Where the nodes have just been started, it also waits until
 * all that ran before runs again, so that the next task finds it: pods that are not ready after two minutes are named, but are no
 * failure. Throws `TaskError` when Vault or PostgreSQL is deployed and does not answer.
 */
export async function reopen(context: Context, started: Outcome): Promise<Outcome> {
  const { $, environment, settings } = context;
  const namespaces = await namespacesOf(settings);
  // Nothing was deployed yet: there is nothing to wait for.
  if ((await readPods(context, namespaces)).length === 0) return unseal(context);
  if (started === 'changed') await waitForKubelets(context);
  const opened = await unseal(context);
  const words = ['-n', 'database', 'get', 'service', 'postgresql', '--ignore-not-found', '-o', 'name'];
  const database = await $({ quiet: true })`${kubectl(environment)} ${words}`;
  if (database.stdout.trim() !== '') {
    await withPostgresql(context, async () => undefined);
  }
  if (started === 'changed') await waitForPods(context, namespaces);
  return opened;
}

/** Longer than a kubelet takes to renew its lease (10 s), with time to start. */
const kubeletMs = 60_000;

type Leases = {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly renewTime?: string };
  }[];
};

/**
 * Waits until each kubelet has renewed its lease. Before it reports, the API shows its pods as they were when the node stopped: ready.
 */
async function waitForKubelets(context: EnvironmentContext): Promise<void> {
  const read = async (): Promise<ReadonlyMap<string, string | undefined>> => {
    const words = ['-n', 'kube-node-lease', 'get', 'leases'];
    const { items } = await kubectlList<Leases>(context, ...words);
    return new Map(items.map(({ metadata, spec }) => [metadata.name, spec.renewTime]));
  };
  const before = await read();
  let silent: readonly string[] = [];
  const reported = await poll(
    async () => {
      const now = await read();
      silent = [...before].filter(([name, time]) => now.get(name) === time).map(([name]) => name);
      if (silent.length === 0) return true;
      context.progress(`waiting for the kubelets of ${silent.join(', ')}`);
      return undefined;
    },
    kubeletMs,
    context.signal,
  );
  if (!reported) context.log(`the kubelets of these nodes do not report: ${silent.join(', ')}`);
}

async function namespacesOf(settings: Settings): Promise<ReadonlySet<string>> {
  const controller = controllerOf(settings);
  const declared = (await declaredReleases()).map(({ namespace }) => namespace);
  return new Set([...declared, ...(controller === undefined ? [] : [controller.namespace])]);
}

async function waitForPods(context: EnvironmentContext, namespaces: ReadonlySet<string>): Promise<void> {
  let unready: readonly string[] = [];
  const ready = await poll(
    async () => {
      const found = unreadyOf(await readPods(context, namespaces));
      unready = found.map(({ object, text }) => `${object}: ${text}`);
      if (found.length === 0) return true;
      context.progress(`waiting for ${found.map(({ object }) => object).join(', ')}`);
      return undefined;
    },
    podStartMs,
    context.signal,
  );
  if (ready) return;
  for (const line of unready) context.log(`not ready yet: ${line}`);
}
