import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTree, type KubernetesObject, type Tree } from '../../charts/render.ts';

/* JSON schemas of what an API server serves, out of its own `/openapi/v3`: those of kubeconform cannot be downloaded, and know no types of operators. */

type Group = { readonly schemas: Readonly<Record<string, Tree>> };

/** Asks the API server for a path. */
export type Ask = (path: string) => Promise<string>;

const groupPath = (apiVersion: string): string =>
  apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;

/** Name of the schema's file, as `schemaLocation` has it. */
const fileOf = (kind: string, apiVersion: string): string => {
  const [group, version] = [apiVersion.split('/')[0], apiVersion.split('/').at(-1)];
  return `${kind.toLowerCase()}_${group}_${version}.json`;
};

/** kubeconform's template of the files' names. */
export const schemaLocation = (folder: string): string =>
  join(folder, '{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json');

/**
 * What OpenAPI 3.0 says otherwise than JSON schema: a field that may be null. And what it leaves to the API server: a field that is
 * not known is an error, unless the type takes any.
 */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (!isTree(schema)) return schema;
  const tree = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)])) as Tree;
  if (tree.nullable === true && typeof tree.type === 'string') tree.type = [tree.type, 'null'];
  const closed = isTree(tree.properties) && tree['x-kubernetes-preserve-unknown-fields'] !== true;
  if (closed && tree.additionalProperties === undefined) tree.additionalProperties = false;
  return tree;
}

const isOf = (schema: Tree, kind: string, apiVersion: string): boolean => {
  const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as Readonly<Record<string, string>>[];
  return kinds.some(
    ({ group, version, kind: name }) =>
      name === kind && [group, version].filter((part) => part !== '').join('/') === apiVersion,
  );
};

/**
 * Writes a schema file for each kind among the objects that the API server serves into the folder, which is made. A kind that it
 * does not serve gets none, and kubeconform refuses its objects then.
 */
export async function writeSchemas(
  ask: Ask,
  objects: readonly KubernetesObject[],
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const groups = new Map<string, Group>();
  const { paths } = JSON.parse(await ask('/openapi/v3')) as { paths: Readonly<Record<string, unknown>> };
  const kinds = new Map(
    objects.map(({ kind, apiVersion }) => [`${apiVersion} ${kind}`, { kind, apiVersion }]),
  );
  for (const { kind, apiVersion } of kinds.values()) {
    const path = groupPath(apiVersion);
    if (!(path in paths)) continue;
    const known = groups.get(path) ?? (JSON.parse(await ask(`/openapi/v3/${path}`)).components as Group);
    groups.set(path, known);
    const found = Object.entries(known.schemas).find(([, schema]) => isOf(schema, kind, apiVersion));
    if (found === undefined) continue;
    const schema = { $ref: `#/components/schemas/${found[0]}`, components: strict(known) };
    await writeFile(join(folder, fileOf(kind, apiVersion)), JSON.stringify(schema));
  }
}
