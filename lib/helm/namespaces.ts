import { TaskError } from '@k8s-deployment/runner';
import { type Condition, kubectl, kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { declaredReleases, type Release } from './helmfile.ts';

type Namespace = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/**
 * Creates missing namespaces that a release in them contains; Helm 3 fails with `--create-namespace`, as it first
 * checks what the release would adopt. Throws `TaskError` if a declared namespace is being deleted.
 */
export async function prepareNamespaces(context: ShellContext, releases: readonly Release[]): Promise<void> {
  const { $, environment } = context;
  const names = new Set((await declaredReleases(environment.root)).map(({ namespace }) => namespace));
  const namespaces = await kubectlList<Namespace>(context, 'get', 'namespaces');
  const ending = namespaces.find(
    ({ metadata }) => names.has(metadata.name) && metadata.deletionTimestamp !== undefined,
  );
  if (ending !== undefined) throw terminating(context, ending);
  for (const { namespace, createNamespace } of releases) {
    if (!createNamespace || namespaces.some(({ metadata }) => metadata.name === namespace)) continue;
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await $({ quiet: true, input })`${kubectl(environment)} apply --server-side -f -`;
  }
}

function terminating({ environment }: ShellContext, { metadata: { name }, status }: Namespace): TaskError {
  // Kubernetes reports what remains and which finalizers it waits for.
  const waits = (status?.conditions ?? []).flatMap(({ type, status, message }) =>
    type.startsWith('Namespace') && status === 'True' && message ? [message] : [],
  );
  const wait = `${kubectlText(environment)} wait --for=delete namespace/${name}`;
  return new TaskError({
    what: `namespace ${name} is being deleted`,
    why: waits.join('\n') || 'somebody deleted it, and its objects are still being removed',
    advice: `remove what it waits for, wait (\`${wait}\`), and run again to recreate it`,
  });
}
