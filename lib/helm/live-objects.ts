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

/** An object of a release, and what the cluster has of it. */
export type Pair = {
  readonly release: DeployedRelease;
  readonly object: ManifestObject;
  readonly live: LiveObject | undefined;
};

/** The version is left out: the server may answer in another one. */
const key = ({ apiVersion, kind, metadata }: ManifestObject, namespace = ''): string =>
  [apiVersion.includes('/') ? apiVersion.split('/')[0] : '', kind, namespace, metadata.name].join('|');

/** An object in the cluster. One of the whole cluster has no namespace, whatever its manifest says. */
export const find = (
  live: ReadonlyMap<string, LiveObject>,
  object: ManifestObject,
  release: DeployedRelease,
): LiveObject | undefined =>
  live.get(key(object, object.metadata.namespace || release.namespace)) ?? live.get(key(object));

const byKey = (items: readonly LiveObject[]): ReadonlyMap<string, LiveObject> =>
  new Map(items.map((item) => [key(item, item.metadata.namespace), item]));

/**
 * What carries helm's label, as far as it may be listed. A type that the cluster does not know any more is missing with all its
 * objects.
 */
export async function labelledObjects(
  context: ShellContext,
  types: readonly string[],
  cannotTell: (reason: string) => void,
): Promise<{ readonly found: ReadonlyMap<string, LiveObject>; readonly complete: boolean }> {
  const { $, environment } = context;
  if (types.length === 0) return { found: new Map(), complete: true };
  const words = ['-A', '-l', 'app.kubernetes.io/managed-by=Helm', '--show-managed-fields', '-o', 'json'];
  const output = await $({
    quiet: true,
    nothrow: true,
  })`${kubectl(environment)} get ${types.join(',')} ${words}`;
  const complete = output.exitCode === 0;
  if (!complete) {
    const unknown = /doesn't have a resource type "([^"]+)"/.exec(output.stderr)?.[1];
    const rest = types.filter((type) => type.split('.')[0] !== unknown?.split('.')[0]);
    if (rest.length < types.length) return labelledObjects(context, rest, cannotTell);
    if (!/\(Forbidden\)/.test(output.stderr)) throw toolFailure('kubectl get', output);
    cannotTell(reasonOf(output));
  }
  // Where one type is forbidden, kubectl lists the others; where it is the only one, it prints nothing.
  const { items } =
    complete || output.stdout !== '' ? listAnswer<List>('kubectl get', output) : { items: [] };
  return { found: byKey(items), complete };
}

type List = { readonly items: readonly LiveObject[] };

/** Finds what only lost its label. */
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
  const output = await $({
    quiet: true,
    nothrow: true,
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  })`${kubectl(environment)} get -f - --ignore-not-found --show-managed-fields -o json`;
  // Of a type that the cluster does not know there are none.
  if (output.exitCode !== 0 && !/no matches for kind/.test(output.stderr))
    throw toolFailure('kubectl get', output);
  if (output.stdout.trim() === '') return pairs;
  // A single one comes by itself.
  const one = kubectlAnswer<Partial<LiveObject>>('kubectl get', output);
  const found = byKey(
    one.metadata?.name === undefined ? listAnswer<List>('kubectl get', output).items : [one as LiveObject],
  );
  return pairs.map((pair) => ({ ...pair, live: pair.live ?? find(found, pair.object, pair.release) }));
}
