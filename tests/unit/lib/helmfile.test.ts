import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { selector, selectsRelease } from '../../../lib/deploy/selection.ts';
import {
  appNames,
  declaredReleases,
  helmfile,
  helmfileText,
  releaseNames,
  saidByHelm,
  tierNames,
  withNeeds,
} from '../../../lib/helm/helmfile.ts';
import { copyProject } from '../../rig/project-copy.ts';
import { failureOf, targetOf } from '../../rig/task-context.ts';

test('the ten releases with namespace, tier, app and needs', async () => {
  const table = (await declaredReleases()).map(({ name, namespace, tier, app, needs }) =>
    [name, namespace, tier, app, needs.join(' ')].join(' | '),
  );
  assert.equal(table, [
    'devops | core | core | devops | ',
    'metrics-server | core | core | metrics-server | devops',
    'vault | vault | core | vault | devops',
    'vault-operator | vault | core | vault | vault',
    'reloader | core | core | reloader | devops',
    'postgresql | database | core | postgresql | devops',
    'app1-back | backend | apps | app1 | devops postgresql vault-operator',
    'app1-front | frontend | apps | app1 | app1-back',
    'app2-back | backend | apps | app2 | devops postgresql',
    'app2-front | frontend | apps | app2 | app2-back',
  ]);
});

test('arguments know every app, tier and release', async () => {
  const apps = ['devops', 'metrics-server', 'vault', 'reloader', 'postgresql', 'app1', 'app2'];
  assert.equal(await appNames(), apps);
  assert.equal(await tierNames(), ['core', 'apps']);
  assert.is((await releaseNames()).length, 10);
});

test('a selection takes in what it needs, in the order of the file, and nothing else', async () => {
  const releases = await declaredReleases();
  const names = (selection: Parameters<typeof selectsRelease>[0]): string[] =>
    withNeeds(releases, selectsRelease(selection)).map(({ name }) => name);
  assert.equal(names({ app: 'app2' }), ['devops', 'postgresql', 'app2-back', 'app2-front']);
  assert.equal(names({ app: 'vault' }), ['devops', 'vault', 'vault-operator']);
  assert.is(names({ tier: 'apps' }).includes('reloader'), false);
  assert.is(names({}).length, 10);
});

test('selections as arguments of helmfile', () => {
  assert.equal(selector({ tier: 'core' }), ['-l', 'tier=core']);
  assert.equal(selector({ app: 'app1' }), ['-l', 'app=app1']);
  assert.equal(selector({}), []);
});

test('a call names kubeconfig, context, every layer of values and the environment', async () => {
  const target = await targetOf({ env: 'development', provider: 'existing', context: 'team a' });
  const words = await helmfile(target, 'sync');
  assert.equal(words.slice(0, 5), [
    'helmfile',
    '--kubeconfig',
    target.environment.kubeconfig,
    '--kube-context',
    'team a',
  ]);
  assert.ok(words.includes('environments/existing.yaml'));
  assert.is(words[words.indexOf('environment=development') - 1], '--state-values-set-string');
  assert.not.ok(words.includes('--skip-deps'));
  assert.is(words.at(-1), 'sync');
});

test('only the embedded cluster, with its local charts, asks no chart repository', async () => {
  const words = await helmfile(await targetOf({ env: 'development', provider: 'embedded' }), 'sync');
  assert.ok(words.includes('--skip-deps'));
  assert.ok(words.includes('.state/development/cluster.yaml'));
});

test('as text it can be pasted in the project’s folder', async () => {
  const text = await helmfileText(
    await targetOf({ env: 'development', provider: 'existing', context: 'team a' }),
    'diff',
    '--args',
    'a b',
  );
  assert.match(
    text,
    /^helmfile --kubeconfig \.state\/development\/kubeconfig --kube-context 'team a' --state-values-file /,
  );
  assert.match(text, / diff --args 'a b'$/);
});

test('a helmfile.yaml that cannot be read is told before anything runs', async () => {
  const clone = copyProject();
  try {
    writeFileSync(join(clone.folder, 'helmfile.yaml'), 'releases: [\n');
    const lib: typeof import('../../../lib/helm/helmfile.ts') = await import(
      join(clone.folder, 'lib/helm/helmfile.ts')
    );
    const error = await failureOf(lib.declaredReleases());
    assert.is(error.what, 'helmfile.yaml:2 is not valid YAML');
    assert.is(error.exitCode, 1);
  } finally {
    clone.remove();
  }
});

test('of a failed release what helm said is taken, once, and of anything else all', () => {
  const block = (name: string, line: string): string =>
    `failed processing release ${name}: command "helm" exited with non-zero status:\n\nARGS:\n  0: helm (4 bytes)\n\nSTDERR:\n  ${line}\n\nCOMBINED OUTPUT:\n  ${line}\n`;
  const two = block('one', 'Error: UPGRADE FAILED: one') + block('two', 'Error: UPGRADE FAILED: two');
  assert.equal(saidByHelm(two), ['Error: UPGRADE FAILED: one', 'Error: UPGRADE FAILED: two']);
  const last = 'STDERR:\n  Error: UPGRADE FAILED: one';
  assert.equal(saidByHelm(last), ['Error: UPGRADE FAILED: one']);
  assert.equal(saidByHelm('in ./helmfile.yaml: no such file\n'), ['in ./helmfile.yaml: no such file']);
});

test.run();
