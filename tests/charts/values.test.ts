import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChartName, isTree, merge, readYaml, required, type Tree, tryRender } from './render.ts';
import { cleanUp, inPairs } from './tools.ts';

const test = suite('values.yaml');
test.after(cleanUp);

type Leaf = { readonly path: readonly string[]; readonly value: unknown };

/** Everything in a tree that is not a map with entries. */
function leavesOf(tree: Tree, path: readonly string[] = []): Leaf[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const here = [...path, key];
    return isTree(value) && Object.keys(value).length > 0 ? leavesOf(value, here) : [{ path: here, value }];
  });
}

const placed = (path: readonly string[], value: unknown): Tree =>
  path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;

/** Choices of a schema, each with another one. */
const others: Readonly<Record<string, string>> = {
  Always: 'Never',
  IfNotPresent: 'Never',
  preferred: 'required',
  nginx: 'traefik',
  Deployment: 'StatefulSet',
  baseline: 'privileged',
  restricted: 'privileged',
  vault: 'sops',
};

/** Another valid value of the same kind. */
function changed(value: unknown, path: readonly string[]): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value + 1;
  if (Array.isArray(value)) {
    if (path.includes('isolate')) return value.length > 1 ? ['Ingress'] : ['Egress'];
    if (path.includes('ports')) return [1234];
    if (path.includes('from')) return ['elsewhere'];
    return ['203.0.113.0/24'];
  }
  if (isTree(value)) return path.includes('services') ? { other: { http: 8080 } } : { other: 'changed' };
  const text = String(value);
  if (path.at(-1) === 'podCidr') return '10.9.0.0/16';
  if (path.at(-1) === 'vaultAddress') return 'http://other:8200';
  const known =
    path.includes('podSecurity') ||
    ['pullPolicy', 'spread', 'controller', 'kind', 'managedBy'].includes(path.at(-1) ?? '');
  if (known && others[text]) return others[text];
  if (/^[0-9]+(m|Mi|Gi|s)?$/.test(text))
    return text.replace(/^[0-9]+/, (number) => String(Number(number) + 1));
  return `${text}x`;
}

/** Values under which a leaf has its effect, where it has none by default. The first that shows an effect is enough. */
const variants: Readonly<Record<ChartName, readonly Tree[]>> = {
  backend: [{}, { autoscaling: { enabled: true } }],
  devops: [{ databaseSecrets: {} }],
  frontend: [{}],
  postgresql: [{}],
  'stand-in': [
    {},
    { vaultAddress: 'http://vault:8200' },
    { vaultAddress: 'http://vault:8200', transit: { enabled: true } },
  ],
};

for (const chart of Object.keys(variants) as ChartName[]) {
  test(`${chart}: every value has an effect`, async () => {
    const defaults = await readYaml(`charts/${chart}/values.yaml`);
    const bases = await inPairs(variants[chart], (values) => tryRender(chart, { values }));
    const dead: string[] = [];
    const leaves = leavesOf(merge(defaults, required[chart]));
    assert.ok(leaves.length > 5);
    await inPairs(leaves, async ({ path, value }) => {
      if (chart === 'devops' && path[0] === 'databaseSecrets') return;
      const messages: string[] = [];
      for (const [index, variant] of variants[chart].entries()) {
        const ended = await tryRender(chart, { values: merge(variant, placed(path, changed(value, path))) });
        if (ended.exitCode !== 0) messages.push(ended.stderr.trim());
        else if (ended.stdout !== bases[index]?.stdout) return;
      }
      dead.push(`${path.join('.')} ${messages.join(' ')}`);
    });
    assert.equal(dead, []);
  });
}

test('devops: every part of a database Secret has an effect', async () => {
  const database = { namespace: 'backend', host: 'db', port: 5432, user: 'app', password: 'word' };
  const withDatabase = (entry: Tree) => tryRender('devops', { values: { databaseSecrets: { app: entry } } });
  const base = await withDatabase(database);
  for (const { path, value } of leavesOf(database)) {
    const ended = await withDatabase({ ...database, ...placed(path, changed(value, path)) });
    assert.is(ended.exitCode, 0, ended.stderr);
    assert.is.not(ended.stdout, base.stdout, path.join('.'));
  }
});

test.run();
