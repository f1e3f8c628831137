import { kubectl, kubectlAnswer, listAnswer } from '../kubernetes/kubectl.ts';
import type { ShellContext } from '../settings/context.ts';
import { reasonOf, toolFailure } from '../tools/tool-answer.ts';
import type { ManagedFields } from './managed-fields.ts';
import type { ManifestObject } from './manifest-objects.ts';
import type { DeployedRelease } from './releases.ts';

/** An object in the cluster. */
export type LiveObject = ManifestObject & {
  readonly metadata: {
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly managedFields?: readonly ManagedFields[];
  };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
};

/** An object of a release, with the object in the cluster, if any. */
export type Pair = {
  readonly release: DeployedRelease;
  readonly object: ManifestObject;
  readonly live: LiveObject | undefined;
};

/** Without the API version, in which the server may differ. */
const key = ({ apiVersion, kind, metadata }: ManifestObject, namespace = ''): string =>
  [apiVersion.includes('/') ? apiVersion.split('/')[0] : '', kind, namespace, metadata.name].join('|');

/** The object in the cluster. Cluster-scoped ones have no namespace, even if the manifest names one. */
export const find = (
  live: ReadonlyMap<string, LiveObject>,
  object: ManifestObject,
  release: DeployedRelease,
): LiveObject | undefined =>
  live.get(key(object, object.metadata.namespace || release.namespace)) ?? live.get(key(object));

const byKey = (items: readonly LiveObject[]): ReadonlyMap<string, LiveObject> =>
  new Map(items.map((item) => [key(item, item.metadata.namespace), item]));

/**
 * The objects of these types with helm's label; not `complete` if the user may not list some of them, and then `cannotCheck` gets the
 * reason. Types that the cluster does not know have no objects.
 */
export async function labelledObjects(
  context: ShellContext,
  types: readonly string[],
  cannotCheck: (reason: string) => void,
): Promise<{ readonly found: ReadonlyMap<string, LiveObject>; readonly complete: boolean }> {
  const { $, environment } = context;
  if (types.length === 0) return { found: new Map(), complete: true };
  const words = ['-A', '-l', 'app.kubernetes.io/managed-by=Helm', '--show-managed-fields', '-o', 'json'];
  const shell = $({ quiet: true, nothrow: true });
  const output = await shell`${kubectl(environment)} get ${types.join(',')} ${words}`;
  const complete = output.exitCode === 0;
  if (!complete) {
    const unknown = /doesn't have a resource type "([^"]+)"/.exec(output.stderr)?.[1];
    const rest = types.filter((type) => type.split('.')[0] !== unknown?.split('.')[0]);
    if (rest.length < types.length) return labelledObjects(context, rest, cannotCheck);
    if (!/\(Forbidden\)/.test(output.stderr)) throw toolFailure('kubectl get', output);
    cannotCheck(reasonOf(output));
  }
  // If one type is forbidden, kubectl lists the others; if it is the only one, it prints nothing.
  const { items } =
    complete || output.stdout !== '' ? listAnswer<List>('kubectl get', output) : { items: [] };
  return { found: byKey(items), complete };
}

type List = { readonly items: readonly LiveObject[] };

/** The same pairs, with objects that only lost their label. */
export async function withUnlabelled(
  { $, environment }: ShellContext,
  pairs: readonly Pair[],
): Promise<readonly Pair[]> {
  const items = pairs
    .filter(({ live }) => live === undefined)
    .map(({ object: { apiVersion, kind, metadata }, release }) => ({
      apiVersion,
      kind,
      metadata: { name: metadata.name, namespace: metadata.namespace || release.namespace },
    }));
  if (items.length === 0) return pairs;
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const words = ['-f', '-', '--ignore-not-found', '--show-managed-fields', '-o', 'json'];
  const output = await $({ quiet: true, nothrow: true, input })`${kubectl(environment)} get ${words}`;
  // A type that the cluster does not know has no objects.
  if (output.exitCode !== 0 && !/no matches for kind/.test(output.stderr))
    throw toolFailure('kubectl get', output);
  if (output.stdout.trim() === '') return pairs;
  // kubectl prints a single object without a list around it.
  const one = kubectlAnswer<Partial<LiveObject>>('kubectl get', output);
  const found = byKey(
    one.metadata?.name === undefined ? listAnswer<List>('kubectl get', output).items : [one as LiveObject],
  );
  return pairs.map((pair) => ({ ...pair, live: pair.live ?? find(found, pair.object, pair.release) }));
}
