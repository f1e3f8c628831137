import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { valueAt } from '../../lib/ground/tree.ts';
import { leftovers } from '../rig/project-copy.ts';
import { type ChartName, chartNames, readYaml, required } from './render.ts';
import { otherOf, readSchema, type Schema } from './schema-leaves.ts';
import { root, succeed, temporaryFolder } from './tools.ts';

/* `UPDATE_README=1 node --import tsx tests/charts/readme.test.ts` writes the READMEs instead of comparing them. */

const test = suite('folders of charts');

type Row = {
  readonly path: string;
  /** Absent for a map, whose values have rows of their own. */
  readonly standard?: string;
  readonly allowed: string;
  readonly meaning: string;
};

/** Names for the definitions of the schemas. */
const words: Readonly<Record<string, string>> = {
  ...{ name: 'name', release: 'name of a release', sqlName: 'SQL name', domain: 'host name', mount: 'path' },
  ...{ optionalClass: 'name or empty', optionalName: 'name or empty', optionalRole: 'name or empty' },
  ...{ connection: 'namespace/name', optionalUrl: 'URL or empty', port: 'port', certificate: 'PEM' },
  ...{ repository: 'image name', tag: 'tag, not latest', digest: 'sha256:… or empty' },
  ...{ labels: 'labels', nodeSelector: 'labels', optionalLabels: 'labels', podLabels: 'labels' },
  ...{ annotations: 'annotations', probe: 'probe', dns: 'map', image: 'map' },
  ...{ count: 'count, quoted', share: 'number or per cent', duration: 'duration (s, m, h)' },
  ...{ cpu: 'CPU quantity', memory: 'quantity (Ki, Mi, Gi)', storage: 'quantity (Mi, Gi, Ti)' },
  ...{ amounts: 'cpu and memory', quantities: 'cpu, memory, ephemeral-storage' },
  ...{ resources: 'requests and limits', cidr: 'address range (CIDR)' },
  ...{ narrowCidr: 'address range (CIDR), not everybody', ranges: 'list of address ranges (CIDR)' },
  ...{ blocks: 'list of address ranges', peers: 'list of namespaces with pods', ports: 'list of ports' },
  ...{ namespaces: 'list of namespaces', pullSecrets: 'list of names', tolerations: 'list of tolerations' },
  ...{ env: 'list of variables', envFrom: 'list of sources' },
  ...{ volumes: 'list of volumes', volumeMounts: 'list of mounts' },
};

function allowed(schema: Schema | undefined): string {
  const { definition = '', enum: choices, type = '', items, minimum, maximum, pattern } = schema ?? {};
  if (schema === undefined || words[definition]) return words[definition] ?? '';
  if (choices) return choices.map((choice) => `\`${choice}\``).join(', ');
  if (type.includes('object')) return 'map';
  if (type.includes('array')) {
    const one = allowed(items);
    return one === words.cidr ? (words.ranges ?? '') : `list of ${one}`;
  }
  if (type.includes('boolean')) return '`true`, `false`';
  if (type.includes('integer') && !type.includes('string')) return `${minimum} to ${maximum}`;
  return pattern === undefined ? 'text' : `\`${pattern.replaceAll('|', '\\|')}\``;
}

const schemaAt = (whole: Schema, path: readonly string[]): Schema | undefined =>
  path.reduce<Schema | undefined>(
    (schema, key) => schema && (schema.properties?.[key] ?? otherOf(schema)),
    whole,
  );

/** Paragraphs of a comment, which are separated by empty lines, each in one line. */
const paragraphs = (comment: string): string[] =>
  comment
    .split(/\n\s*\n/)
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => text !== '');

/** `name (required): text`: documents a value without a default, which has no line of its own. */
const withoutDefault = /^([A-Za-z]+) \((required[^)]*)\): (.+)$/;

/** Rows of all values of a `values.yaml`: the comment right above a value is its meaning. */
function rowsOf(text: string, whole: Schema): Row[] {
  const document = parseDocument(text);
  const defaults: unknown = document.toJS();
  const rows: Row[] = [];
  const walk = (map: YAMLMap, above: readonly string[], first: string): void => {
    for (const [index, pair] of (map.items as Pair[]).entries()) {
      if (!isScalar(pair.key)) continue;
      const path = [...above, String(pair.key.value)];
      const rowOf = (at: readonly string[]) => ({
        path: at.join('.'),
        allowed: allowed(schemaAt(whole, at)),
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

const folderOf = (chart: ChartName): string => join(root, 'charts', chart);

/** The README of a chart, generated from `values.yaml`, schema and `Chart.yaml`. */
async function readmeOf(chart: ChartName, rows: readonly Row[]): Promise<string> {
  const { name, description, kubeVersion } = await readYaml(`charts/${chart}/Chart.yaml`);
  const cell = (text: string): string => text.replace(/(?<!\\)\|/g, '\\|').replaceAll('<', '&lt;');
  return `# ${name}

${description}. Kubernetes ${String(kubeVersion).replace('-0', '')}.

Generated from the comments of \`values.yaml\` and from \`values.schema.json\` by \`UPDATE_README=1 node --import tsx tests/charts/readme.test.ts\`;
a test compares them.

| value | default | allowed | meaning |
|---|---|---|---|
${rows
  .map((row) => `| \`${row.path}\` | ${row.standard ?? ''} | ${row.allowed} | ${cell(row.meaning)} |`)
  .join('\n')}
`;
}

/** Explained once, at the first namespace and the first team. */
const known = /^(namespaces|teams|outside)\.[-\w]+\.|\.(requests|limits)$/;

for (const chart of chartNames) {
  test(`${chart}: every value has a comment, and the README matches them`, async () => {
    const rows = rowsOf(
      await readFile(join(folderOf(chart), 'values.yaml'), 'utf8'),
      await readSchema(chart),
    );
    assert.ok(rows.length > 10);
    const bad = rows.filter(
      ({ path, standard, allowed, meaning }) =>
        (meaning === '' && !known.test(path)) || (standard !== undefined && allowed === ''),
    );
    assert.equal(bad, []);
    const file = join(folderOf(chart), 'README.md');
    const wanted = await readmeOf(chart, rows);
    if (process.env.UPDATE_README === '1') await writeFile(file, wanted);
    assert.is(await readFile(file, 'utf8').catch(() => ''), wanted, `write it with UPDATE_README=1`);
  });

  const stdin = JSON.stringify(required[chart]);

  test(`${chart}: no warning of helm lint with the required values only`, async () => {
    const said = await succeed('helm', ['lint', '--strict', '--values', '-', folderOf(chart)], { stdin });
    assert.match(said, '1 chart(s) linted, 0 chart(s) failed');
  });

  test(`${chart} renders the same with leftovers of editors and systems in its folders`, async () => {
    const folder = join(temporaryFolder(), chart);
    await cp(folderOf(chart), folder, { recursive: true });
    const args = ['template', 'app', folder, '--namespace', 'here', '--include-crds', '--values', '-'];
    const before = await succeed('helm', args, { stdin });
    const below = await readdir(folder, { recursive: true, withFileTypes: true });
    const folders = below.flatMap((one) => (one.isDirectory() ? [join(one.parentPath, one.name)] : []));
    for (const place of [folder, ...folders]) {
      await mkdir(join(place, '.idea'));
      for (const name of leftovers('values.yaml')) await writeFile(join(place, name), '{{ broken: [');
    }
    assert.is(await succeed('helm', args, { stdin }), before);
  });
}

test.run();
