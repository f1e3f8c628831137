import { kubectl, kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import { TaskError } from '../runner/runner.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Release } from './helmfile.ts';
import type { DeployedRelease } from './releases.ts';

type Namespace = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
};

/**
 * Makes the namespaces that are described by a release in them. helm would do so itself, but version 3 looks what a release adopts
 * before that, and fails at the namespace that it then meets.
 */
export async function makeNamespaces(
  { $, environment }: ShellContext,
  releases: readonly Release[],
  deployed: readonly DeployedRelease[],
): Promise<void> {
  for (const { name, namespace, createNamespace } of releases) {
    if (!createNamespace || deployed.some((release) => release.name === name)) continue;
    const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await $({
      quiet: true,
      input: JSON.stringify(manifest),
    })`${kubectl(environment)} apply --server-side -f -`;
  }
}

/** Throws `TaskError` if one of the namespaces is being deleted: nothing can be made in it any more. */
export async function refuseTerminating(context: ShellContext, names: ReadonlySet<string>): Promise<void> {
  const { environment } = context;
  const { items } = await kubectlList<{ items: readonly Namespace[] }>(context, 'get', 'namespaces');
  const [ending] = items.filter(
    ({ metadata }) => names.has(metadata.name) && metadata.deletionTimestamp !== undefined,
  );
  if (ending === undefined) return;
  const { name } = ending.metadata;
  // Kubernetes says what remains, and which finalizers it waits for.
  const waits = (ending.status?.conditions ?? []).flatMap(({ type, status, message }) =>
    type.startsWith('Namespace') && status === 'True' && message ? [message] : [],
  );
  throw new TaskError({
    what: `namespace ${name} is being deleted`,
    why: waits.join('\n') || 'somebody deleted it; its objects are removed before it goes',
    advice: `have what it waits for removed, wait (\`${kubectlText(environment)} wait --for=delete namespace/${name}\`), and run again: it is made again`,
  });
}
