import type { Environment } from './environment.ts';
import { kubectl } from './kubectl.ts';
import type { ObjectName } from './manifest-objects.ts';
import type { DeployedRelease } from './releases.ts';
import type { Shell } from './runner/runner.ts';
import { reasonOf, toolFailure } from './tool-answer.ts';

const columns = 'KIND:.kind,VERSION:.apiVersion,NAMESPACE:.metadata.namespace,NAME:.metadata.name';

/** kubectl's word for a type: with its group, for two groups may have a kind of one name. */
const typeOf = ({ kind, group }: ObjectName): string => (group === '' ? kind : `${kind}.${group}`);

const key = ({ kind, group, name }: ObjectName, namespace: string): string =>
  [kind, group, namespace, name].join('|');

/**
 * By release, what helm installed and is not in the cluster any more, as `deployment frontend/app1-front`. One call of
 * kubectl for all of them: it lists what carries helm's label, which helm gives to every object of a release. A kind that
 * the cluster does not know any more is missing with all its objects. `cannotTell` is told why when this user may not list them;
 * nothing is missing then. Throws `TaskError` when the cluster does not answer.
 */
export async function missingObjects(
  $: Shell,
  environment: Environment,
  releases: readonly DeployedRelease[],
  cannotTell: (reason: string) => void,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const wanted = releases.flatMap(({ objects }) => objects);
  const found = await foundObjects($, environment, wanted, cannotTell);
  if (found === undefined) return new Map();
  const missing = releases.map(({ name, namespace, objects }) => {
    const gone = objects.filter(
      (object) =>
        !found.has(key(object, object.namespace || namespace)) &&
        // Of the whole cluster: the manifest names no namespace, or one that means nothing.
        !found.has(key(object, '')),
    );
    return [name, gone.map((object) => shown(object, namespace))] as const;
  });
  return new Map(missing.filter(([, gone]) => gone.length > 0));
}

const shown = (object: ObjectName, namespace: string): string =>
  object.kind === 'Namespace'
    ? `namespace ${object.name}`
    : `${object.kind.toLowerCase()} ${object.namespace || namespace}/${object.name}`;

async function foundObjects(
  $: Shell,
  environment: Environment,
  wanted: readonly ObjectName[],
  cannotTell: (reason: string) => void,
): Promise<ReadonlySet<string> | undefined> {
  const types = [...new Set(wanted.map(typeOf))];
  if (types.length === 0) return new Set();
  const label = 'app.kubernetes.io/managed-by=Helm';
  const output = await $({
    quiet: true,
    nothrow: true,
  })`${kubectl(environment)} get ${types.join(',')} -A -l ${label} --no-headers -o ${`custom-columns=${columns}`}`;
  if (output.exitCode !== 0) {
    const unknown = /doesn't have a resource type "([^".]+)/.exec(output.stderr)?.[1];
    const rest = wanted.filter(({ kind }) => kind !== unknown);
    if (rest.length < wanted.length) return foundObjects($, environment, rest, cannotTell);
    if (!/\(Forbidden\)/.test(output.stderr)) throw toolFailure('kubectl get', output);
    cannotTell(reasonOf(output));
    return undefined;
  }
  const lines = output.stdout.split('\n').filter((line) => line !== '');
  return new Set(
    lines.map((line) => {
      const [kind = '', version = '', namespace = '', name = ''] = line.trim().split(/\s+/);
      const group = version.includes('/') ? (version.split('/')[0] ?? '') : '';
      return [kind, group, namespace === '<none>' ? '' : namespace, name].join('|');
    }),
  );
}
