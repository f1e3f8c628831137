import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ended } from '../../../lib/runner/tests/rig/ended.ts';
import { type FoundTool, findTool, type ToolName } from '../../../lib/tools/tools.ts';
import { type KubernetesObject, objectsOf, podTemplateOf, type Tree } from '../../charts/render.ts';
import { callIn, type Place } from '../../charts/tools.ts';
import type { Sandbox } from '../sandbox.ts';

/** The cluster of a sandbox. */
export const placeOf = (sandbox: Sandbox): Place => ({
  folder: sandbox.folder,
  env: {
    ...sandbox.env,
    KUBECONFIG: sandbox.path('.state/development/kubeconfig'),
    KUBECACHEDIR: sandbox.path('.state/kube-cache'),
  },
});

/** Runs a program against the cluster of a sandbox. */
export const call = (
  sandbox: Sandbox,
  program: string,
  args: readonly string[],
  stdin = '',
): Promise<Ended> => callIn(placeOf(sandbox), program, args, stdin);

/** A list of objects for `kubectl -f -`. */
export const list = (objects: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });

const dryRunWords =
  'apply --server-side --force-conflicts --dry-run=server --validate=strict --filename=-'.split(' ');

/**
 * `kubectl apply --dry-run=server`: unknown fields are errors, and Pod Security warns about pods that it would reject.
 */
export const dryRunOn = (place: Place, objects: readonly object[], more: readonly string[] = []) =>
  callIn(place, 'kubectl', [...dryRunWords, ...more], list(objects));

/** The pods that workloads would create, with an account that exists before the release. */
export function podsOf(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.flatMap((object) => {
    const { kind, metadata, spec } = object;
    const template = podTemplateOf(object);
    if (template === undefined) return [];
    // added as by the StatefulSet controller
    const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata: { name } }: KubernetesObject) => ({
      ...{ name, persistentVolumeClaim: { claimName: name } },
    }));
    const { volumes = [] } = template.spec;
    const name = `${kind.toLowerCase()}-${metadata.name}`.slice(0, 63);
    return {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { ...template.metadata, name, namespace: metadata.namespace },
      spec: { ...template.spec, serviceAccountName: 'default', volumes: [...volumes, ...claims] },
    };
  });
}

/** A fully restricted pod, with a change of its container's security context. */
export const podOf = (namespace: string, change: Tree = {}, resources: Tree = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'asked', namespace },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'asked',
        image: 'registry.example/asked:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, ...change },
        resources,
      },
    ],
  },
});

/** A tool installed by `tests/run.ts`. */
export async function toolOf(name: ToolName): Promise<FoundTool> {
  const tool = await findTool(name);
  if (tool) return tool;
  throw new Error(`Expected the tool ${name}: \`./run install-tools --tests --provider embedded\` gets it`);
}

/** The CRDs of these objects, in the pinned versions of their operators. */
export async function resourceTypes(used: readonly KubernetesObject[]): Promise<KubernetesObject[]> {
  const types = (await toolOf('chart-types')).folder;
  const operator = join((await toolOf('vault-secrets-operator')).folder, 'crds');
  const names = ['cloudnative-pg', 'gateway-api', 'keda', 'prometheus-operator', 'traefik'];
  const texts = [operator, ...names.map((name) => join(types, name))].map(async (folder) => {
    const files = (await readdir(folder)).sort();
    return Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  });
  const objects = (await Promise.all(texts)).flat().flatMap(objectsOf);
  return objects.filter(
    ({ kind, spec }) =>
      kind === 'CustomResourceDefinition' &&
      used.some(
        (object) => object.kind === spec.names.kind && object.apiVersion.startsWith(`${spec.group}/`),
      ),
  );
}
