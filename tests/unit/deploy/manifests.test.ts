import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { applicationSet, kustomizations, manifestsOf, stepsOf } from '../../../lib/deploy/manifests.ts';
import { headOf, pathInRepository, renderedFiles, replaceFolder } from '../../../lib/deploy/render.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import type { ManifestObject } from '../../../lib/helm/live-objects.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const release = (name: string, needs: readonly string[] = []): Release => ({
  ...{ id: `here/${name}`, name, namespace: 'here', chart: `./charts/${name}`, tier: 'core', app: name },
  ...{ needs: needs.map((other) => `here/${other}`), timeout: 60 },
});

const object = (kind: string, name: string, annotations = '{}', more = '') =>
  `---\napiVersion: v1\nkind: ${kind}\nmetadata:\n  name: ${name}\n  annotations: ${annotations}\n${more}`;

const rendered = [
  object('Deployment', 'server', '{}', 'mode: 0644\nanswer: yes\n') + object('Namespace', 'team'),
  object('Job', 'set-up', '{ helm.sh/hook: "test,post-install" }'),
  object('Pod', 'only-test', '{ helm.sh/hook: test }') +
    object('Job', 'clean', '{ helm.sh/hook: pre-delete }'),
  object('CustomResourceDefinition', 'things'),
  object('Secret', 'login', '{}', 'stringData: { password: "0123" }\n'),
  object('Cluster', 'data', '{ helm.sh/resource-policy: keep }'),
];

const read = (text: string): ManifestObject[] => parseAllDocuments(text).map((document) => document.toJS());

test('objects are sorted into CRDs, objects, hooks and Secrets, each with its namespace', () => {
  const { files, secrets } = manifestsOf(release('app'), rendered);
  const names = (all: readonly ManifestObject[]) =>
    all.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? '-'}/${metadata.name}`).join(', ');
  assert.equal(
    [...files].map(([file, text]) => `${file}: ${names(read(text))}`),
    [
      'crds.yaml: CustomResourceDefinition -/things',
      'hooks/hooks.yaml: Job here/set-up',
      'manifests.yaml: Namespace -/team, Cluster here/data, Deployment here/server',
    ],
  );
  assert.equal([names(secrets), secrets[0]?.stringData], ['Secret here/login', { password: '0123' }]);
  const all = [...files.values()].join('');
  for (const line of [/^mode: 0644$/m, /^answer: yes$/m]) assert.match(all, line);
  assert.not.match(all, /argocd|toolkit/);
  assert.equal(manifestsOf(release('app'), [...rendered].reverse()).files, files);
});

test('what helm never deletes or always replaces is marked for the tool that applies it', () => {
  const annotations = (format: 'argocd' | 'flux', file: string) =>
    read(manifestsOf(release('app'), rendered, format).files.get(file) ?? '').map(
      ({ metadata }) => metadata.annotations,
    );
  const kept = { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' };
  assert.equal(annotations('flux', 'crds.yaml'), [kept]);
  assert.equal(annotations('flux', 'manifests.yaml'), [
    {},
    { 'helm.sh/resource-policy': 'keep', ...kept },
    {},
  ]);
  assert.is(annotations('flux', 'hooks/hooks.yaml')[0]?.['kustomize.toolkit.fluxcd.io/force'], 'enabled');
  const options = { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' };
  assert.equal(annotations('argocd', 'crds.yaml'), [options]);
  assert.equal(annotations('argocd', 'hooks/hooks.yaml'), [{ 'helm.sh/hook': 'test,post-install' }]);
});

const releases = [release('front', ['back']), release('back', ['base', 'gone']), release('base')];
const steps = stepsOf(releases);
const inOrder = releases.map((one) => {
  const step = steps.get(one.name) ?? 0;
  return { ...one, step, folder: `${step}-${one.name}`, hasHooks: one.name === 'back' };
});

/** Of each Kustomization its name, its path, and the names of those that it waits for. */
const orderOf = async (environment: string, path: string, all: Parameters<typeof kustomizations>[1]) =>
  ((await kustomizations({ environment, path }, all)) as Kustomization[]).map(({ metadata, spec }) => [
    ...[metadata.name, spec.path, ...spec.dependsOn.map(({ name }) => name)],
  ]);
type Kustomization = { metadata: { name: string }; spec: { path: string; dependsOn: { name: string }[] } };

test('a Kustomization waits for those of the needed releases, their hooks included', async () => {
  assert.equal(await orderOf('test', 'clusters/test', inOrder), [
    ['test-front', './clusters/test/3-front', 'test-back-hooks'],
    ['test-back', './clusters/test/2-back', 'test-base'],
    ['test-back-hooks', './clusters/test/2-back/hooks', 'test-back'],
    ['test-base', './clusters/test/1-base'],
  ]);
});

test("a Kustomization's name fits a label, which Flux gives each of its objects", async () => {
  const all = inOrder.map((one) => ({ ...one, name: `${one.name}-${'r'.repeat(45)}`, hasHooks: true }));
  const made = await orderOf('e'.repeat(50), '', all);
  const names = made.map(([name = '']) => name);
  assert.is(new Set(names).size, 6);
  for (const name of names) assert.match(name, /^[a-z0-9-]{1,62}[a-z0-9]$/);
  for (const [, , ...others] of made) for (const other of others) assert.ok(names.includes(other), other);
});

test('an ApplicationSet synchronises the steps in order: a release comes a step after the last one that it needs', async () => {
  const place = { environment: 'test', path: '', repository: 'https://git.example/team/clusters.git' };
  const { generators, strategy } = Object(await applicationSet(place, inOrder)).spec;
  const element = (step: string, release: string) => ({
    ...{ release, namespace: 'here', step, path: `${step}-${release}` },
  });
  const elements = [element('3', 'front'), element('2', 'back'), element('1', 'base')];
  assert.equal(generators, [{ list: { elements } }]);
  const of = (step: string) => ({ key: 'k8s-deployment/step', operator: 'In', values: [step] });
  assert.equal(
    strategy.rollingSync.steps,
    ['1', '2', '3'].map((step) => ({ matchExpressions: [of(step)] })),
  );
});

const top = temporaryFolder();
const folder = join(top, 'clusters', 'test');
const place = (...names: readonly string[]) => join(folder, ...names);
const text = (body: string) => `${headOf('test')}\n${body}`;
const write = async (files: { readonly [name: string]: string }) =>
  replaceFolder(folder, await renderedFiles(folder, 'test'), new Map(Object.entries(files)));

test('a folder is replaced: stale files and empty folders go', async () => {
  const both = { '01-a/hooks/hooks.yaml': text('a'), '02-b/b.yaml': text('b') };
  assert.equal([await write(both), await write(both)], ['changed', 'unchanged']);
  assert.is(await write({ '02-b/b.yaml': text('c') }), 'changed');
  assert.equal(readdirSync(folder, { recursive: true }), ['02-b', '02-b/b.yaml']);
  assert.is(readFileSync(place('02-b/b.yaml'), 'utf8'), text('c'));
});

test('a folder with anything else is refused, and a failed write leaves it as it was', async () => {
  for (const foreign of ['kind: Secret\n', `${headOf('another')}\n`, '']) {
    writeFileSync(place('02-b', 'own.yaml'), foreign);
    const { what } = await failureOf(renderedFiles(folder, 'test'));
    assert.match(what, /test has 02-b.own\.yaml, which was not rendered from environment `test`$/);
  }
  rmSync(place('02-b', 'own.yaml'));
  // Neither read nor walked: a folder of no release, a file too large to read.
  mkdirSync(place('lost+found', 'deep'), { recursive: true });
  writeFileSync(place('lost+found', 'deep', 'file'), '');
  assert.match((await failureOf(renderedFiles(folder, 'test'))).what, /test has lost\+found, which/);
  rmSync(place('lost+found'), { recursive: true });
  writeFileSync(place('swap'), '');
  truncateSync(place('swap'), 3 * 2 ** 30);
  assert.match((await failureOf(renderedFiles(folder, 'test'))).what, /test has swap, which/);
  rmSync(place('swap'));
  // A file cannot become a folder.
  await failureOf(write({ '01-a/a.yaml': text('a'), '02-b/b.yaml/c.yaml': text('c') }));
  assert.equal(readdirSync(folder, { recursive: true }), ['02-b', '02-b/b.yaml']);
});

test('the path in the git repository is found, also before the folder exists', async () => {
  assert.match((await failureOf(pathInRepository(folder))).what, /is not in a git repository$/);
  mkdirSync(join(top, '.git'));
  assert.is(await pathInRepository(place('new')), 'clusters/test/new');
  assert.is(await pathInRepository(top), '');
});

test.run();
