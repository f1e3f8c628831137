import { withPostgresql } from '../cluster/cluster.ts';
import { poll } from '../ground/poll.ts';
import { declaredValues } from '../helm/helmfile.ts';
import { controllerOf } from '../ingress/controllers.ts';
import { readPods, unreadyOf } from '../kubernetes/diagnostics.ts';
import { kubectl, kubectlList, type Named } from '../kubernetes/kubectl.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import type { EnvironmentContext, Outcome } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';
import { UntrustedError } from '../vault/api/vault-error.ts';
import { unseal } from '../vault/init-vault.ts';

/**
 * Unseals Vault on a cluster with real nodes and waits for PostgreSQL; if nodes started, also for all pods. Logs pods
 * that are not ready after two minutes. Throws `TaskError` if a deployed Vault or PostgreSQL does not answer.
 */
export async function reopen(context: EnvironmentContext, started: Outcome): Promise<Outcome> {
  const { $, environment } = context;
  const namespaces = await namespacesOf(context);
  // Nothing is deployed yet.
  if ((await readPods(context, namespaces)).length === 0) return unseal(context);
  if (started === 'changed') await waitForKubelets(context);
  const opened = await unseal(context);
  const words = ['-n', 'database', 'get', 'service', 'postgresql', '--ignore-not-found', '-o', 'name'];
  const database = await $({ quiet: true })`${kubectl(environment)} ${words}`;
  if (database.stdout.trim() !== '') await withPostgresql(context, async () => undefined);
  if (started === 'changed') await waitForPods(context, namespaces);
  return opened;
}

/** A kubelet renews its lease every 10 s, after some time to start. */
const kubeletMs = 60_000;

type Lease = Named & { readonly spec: { readonly renewTime?: string } };

/**
 * Waits until each kubelet has renewed its lease. Until then the API still shows its pods as ready, as before the stop.
 */
async function waitForKubelets(context: EnvironmentContext): Promise<void> {
  const read = async (): Promise<ReadonlyMap<string, string | undefined>> => {
    const words = ['-n', 'kube-node-lease', 'get', 'leases'];
    const leases = await kubectlList<Lease>(context, ...words);
    return new Map(leases.map(({ metadata, spec }) => [metadata.name, spec.renewTime]));
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

/**
 * As `reopen`; leaves a Vault that cannot be verified to an install, which renews its certificate, and `init-vault`.
 */
export const reopenBeforeInstall = (context: EnvironmentContext, started: Outcome): Promise<Outcome> =>
  reopen(context, started).catch((error: unknown) => {
    if (!(error instanceof UntrustedError)) throw error;
    context.log(`Vault may be sealed: ${error.what} (${error.why}); ${error.advice}`);
    return 'unchanged';
  });

/** The namespaces of the releases and of the ingress controller. */
export async function namespacesOf({ environment }: EnvironmentContext): Promise<ReadonlySet<string>> {
  const controller = controllerOf(await loadSettings(environment));
  const declared = await declaredValues(environment.root, 'namespace');
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
