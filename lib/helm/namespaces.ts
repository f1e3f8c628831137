import { TaskError } from '@k8s-deployment/runner';
import { type Condition, kubectl, kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { declaredReleases, type Release } from './helmfile.ts';
import type { DeployedRelease } from './releases.ts';

type Namespace = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/**
 * Creates the namespaces that a release in them contains. With helm's own `--create-namespace` Helm 3 fails: it checks what the
 * release adopts before that.
 */
export async function createNamespaces(
  { $, environment }: ShellContext,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
): Promise<void> {
  for (const { name, namespace, createNamespace } of releases) {
    if (!createNamespace || deployed.some((release) => release.name === name)) continue;
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await $({ quiet: true, input })`${kubectl(environment)} apply --server-side -f -`;
  }
}

/** Throws `TaskError` if the namespace of a release is being deleted: nothing can be created in it. */
export async function refuseTerminating(context: ShellContext): Promise<void> {
  const { environment } = context;
  const names = new Set((await declaredReleases(environment.root)).map(({ namespace }) => namespace));
  const namespaces = await kubectlList<Namespace>(context, 'get', 'namespaces');
  const ending = namespaces.find(
    ({ metadata }) => names.has(metadata.name) && metadata.deletionTimestamp !== undefined,
  );
  if (ending === undefined) return;
  const { name } = ending.metadata;
  // Kubernetes reports what remains, and which finalizers it waits for.
  const waits = (ending.status?.conditions ?? []).flatMap(({ type, status, message }) =>
    type.startsWith('Namespace') && status === 'True' && message ? [message] : [],
  );
  const wait = `${kubectlText(environment)} wait --for=delete namespace/${name}`;
  throw new TaskError({
    what: `namespace ${name} is being deleted`,
    why: waits.join('\n') || 'somebody deleted it, and its objects are still being removed',
    advice: `remove what it waits for, wait (\`${wait}\`), and run again to recreate it`,
  });
}
