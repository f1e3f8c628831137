import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap, isScalar, type Pair, parse, parseDocument, type YAMLMap } from 'yaml';
import { valueAt } from '../../lib/ground/tree.ts';
import type { ChartName } from './render.ts';
import { definitionOf, readSchema, resolve, type Schema } from './schema-leaves.ts';
import { root } from './tools.ts';

/** A value of a chart as its README shows it. */
export type Row = {
  readonly path: string;
  /** Absent for a map, whose values have rows of their own. */
  readonly standard?: string;
  readonly allowed: string;
  readonly meaning: string;
};

/** Names for the definitions of the schemas. */
const words: Readonly<Record<string, string>> = {
  amounts: 'cpu and memory',
  annotations: 'annotations',
  blocks: 'list of address ranges',
  certificate: 'PEM',
  cidr: 'address range (CIDR)',
  connection: 'namespace/name',
  count: 'count, quoted',
  cpu: 'CPU quantity',
  digest: 'sha256:… or empty',
  dns: 'map',
  domain: 'host name',
  duration: 'duration (s, m, h)',
  env: 'list of variables',
  envFrom: 'list of sources',
  image: 'map',
  labels: 'labels',
  memory: 'quantity (Ki, Mi, Gi)',
  mount: 'path',
  name: 'name',
  nodeSelector: 'labels',
  narrowCidr: 'address range (CIDR), not everybody',
  namespaces: 'list of namespaces',
  optionalClass: 'name or empty',
  optionalLabels: 'labels',
  optionalName: 'name or empty',
  optionalRole: 'name or empty',
  optionalUrl: 'URL or empty',
  peers: 'list of namespaces with pods',
  podLabels: 'labels',
  port: 'port',
  ports: 'list of ports',
  probe: 'probe',
  pullSecrets: 'list of names',
  quantities: 'cpu, memory, ephemeral-storage',
  ranges: 'list of address ranges (CIDR)',
  release: 'name of a release',
  repository: 'image name',
  resources: 'requests and limits',
  share: 'number or per cent',
  sqlName: 'SQL name',
  tag: 'tag, not latest',
  storage: 'quantity (Mi, Gi, Ti)',
  tolerations: 'list of tolerations',
  volumeMounts: 'list of mounts',
  volumes: 'list of volumes',
};

/** What a schema accepts, in a few words. */
function allowed(whole: Schema, schema: Schema | undefined): string {
  if (schema === undefined) return '';
  const name = definitionOf(schema);
  if (name !== undefined && words[name]) return words[name];
  const here = resolve(whole, schema);
  if (here.enum) return here.enum.map((choice) => `\`${choice}\``).join(', ');
  const types = [here.type].flat();
  if (types.includes('object')) return 'map';
  if (types.includes('array')) {
    const one = allowed(whole, here.items);
    return one === words.cidr ? (words.ranges ?? '') : `list of ${one}`;
  }
  if (types.includes('boolean')) return '`true`, `false`';
  if (types.includes('integer') && !types.includes('string')) return `${here.minimum} to ${here.maximum}`;
  return here.pattern === undefined ? 'text' : `\`${here.pattern.replaceAll('|', '\\|')}\``;
}

const schemaAt = (whole: Schema, path: readonly string[]): Schema | undefined =>
  path.reduce<Schema | undefined>((schema, key) => {
    if (schema === undefined) return undefined;
    const here = resolve(whole, schema);
    const open = typeof here.additionalProperties === 'object' ? here.additionalProperties : undefined;
    return here.properties?.[key] ?? open;
  }, whole);

/** Paragraphs of a comment, which are separated by empty lines, each in one line. */
const paragraphs = (comment: string): string[] =>
  comment
    .split(/\n\s*\n/)
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text !== '');

/** `name (required): text`: documents a value without a default, which has no line of its own. */
const withoutDefault = /^([A-Za-z]+) \((required[^)]*)\): (.+)$/;

/** Rows of all values of a `values.yaml`: the comment right above a value is its meaning. */
export function rowsOf(text: string, whole: Schema): Row[] {
  const document = parseDocument(text);
  const defaults: unknown = document.toJS();
  const rows: Row[] = [];
  const walk = (map: YAMLMap, above: readonly string[], first: string): void => {
    for (const [index, pair] of (map.items as Pair[]).entries()) {
      if (!isScalar(pair.key)) continue;
      const path = [...above, String(pair.key.value)];
      const rowOf = (at: readonly string[]) => ({
        path: at.join('.'),
        allowed: allowed(whole, schemaAt(whole, at)),
      });
      const meaning: string[] = [];
      for (const paragraph of paragraphs(`${index === 0 ? first : ''}\n\n${pair.key.commentBefore ?? ''}`)) {
        const [, name, standard = '', what = ''] = withoutDefault.exec(paragraph) ?? [];
        if (name === undefined) meaning.push(paragraph);
        else rows.push({ ...rowOf([...above, name]), standard, meaning: what });
      }
      const row = { ...rowOf(path), meaning: meaning.join(' ') };
      const { value } = pair;
      // A map on one line is one value; a map on several lines has a row for each entry.
      if (isMap(value) && !value.flow && value.items.length > 0 && !plain.test(row.path)) {
        rows.push({ ...row, allowed: '' });
        walk(value, path, value.commentBefore ?? '');
      } else {
        const standard = JSON.stringify(valueAt(defaults, path)).replaceAll('|', '\\|');
        rows.push({ ...row, standard: `\`${standard}\`` });
      }
    }
  };
  if (isMap(document.contents)) walk(document.contents, [], document.commentBefore ?? '');
  return rows;
}

/** Maps on several lines that count as one value, since the names of their entries say enough. */
const plain = /(^|\.)(podLabels|dashboardLabels|targets\.[-\w]+|quota|\w+Probe)$/;

/** The README of a chart, generated from `values.yaml`, schema and `Chart.yaml`. */
export async function readmeOf(chart: ChartName): Promise<string> {
  const read = (name: string) => readFile(join(root, 'charts', chart, name), 'utf8');
  const { name, description, kubeVersion } = parse(await read('Chart.yaml')) as { [field: string]: string };
  const rows = rowsOf(await read('values.yaml'), await readSchema(chart));
  const cell = (text: string): string => text.replace(/(?<!\\)\|/g, '\\|').replaceAll('<', '&lt;');
  return `# ${name}

${description}. Kubernetes ${kubeVersion?.replace('-0', '')}.

Generated from the comments of \`values.yaml\` and from \`values.schema.json\` by \`UPDATE_README=1 node --import tsx tests/charts/readme.test.ts\`;
a test compares them.

| value | default | allowed | meaning |
|---|---|---|---|
${rows
  .map((row) => `| \`${row.path}\` | ${row.standard ?? ''} | ${row.allowed} | ${cell(row.meaning)} |`)
  .join('\n')}
`;
}
