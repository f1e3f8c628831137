import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTree, type KubernetesObject, type Tree } from '../../charts/render.ts';

/* JSON schemas from an API server's `/openapi/v3`: kubeconform's own need a download and lack the operators' CRDs. */

type Group = { readonly schemas: Readonly<Record<string, Tree>> };

/** Gets a path from the API server. */
export type Ask = (path: string) => Promise<string>;

const groupPath = (apiVersion: string): string =>
  apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;

/** Name of the schema file, matching `schemaLocation`. */
const fileOf = (kind: string, apiVersion: string): string => {
  const [group, version] = [apiVersion.split('/')[0], apiVersion.split('/').at(-1)];
  return `${kind.toLowerCase()}_${group}_${version}.json`;
};

/** kubeconform's template for file names. */
export const schemaLocation = (folder: string): string =>
  join(folder, '{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json');

/**
 * Differences between OpenAPI 3.0 and JSON schema: nullable fields. And a rule of the API server: a field that is
 * unknown is an error, unless the type allows any.
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
 * Writes a schema file for each kind of the objects into a new folder. A kind that the API server
 * does not serve gets none, so kubeconform rejects its objects.
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
    const known =
      groups.get(path) ?? (strict(JSON.parse(await ask(`/openapi/v3/${path}`)).components) as Group);
    groups.set(path, known);
    const found = Object.entries(known.schemas).find(([, schema]) => isOf(schema, kind, apiVersion));
    if (found === undefined) continue;
    const schema = { $ref: `#/components/schemas/${found[0]}`, components: known };
    await writeFile(join(folder, fileOf(kind, apiVersion)), JSON.stringify(schema));
  }
}
