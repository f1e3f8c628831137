import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import type { Environment } from '../../../lib/settings/environment.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import type { RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/ingress/certificates.ts');
  environment: Environment;
  settings: Settings;
  context: RecordedContext;
  applied: string;
};

const test = suite<State>('certificates of the routes');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('ingress/certificates.ts');
  state.environment = await state.clone.environment('existing');
  const { loadSettings } =
    await state.clone.lib<typeof import('../../../lib/settings/settings.ts')>('settings/settings.ts');
  state.settings = await loadSettings('development', 'existing');
  state.applied = join(state.clone.folder, '..', 'applied');
});
test.before.each(async (state) => {
  state.context = await state.clone.context('existing');
  state.clone.forget();
  rmSync(state.applied, { force: true });
});
test.after(({ clone }) => clone.remove());

/** A cluster that keeps what is applied. */
const cluster = ({ clone, applied }: State, namespace = 'namespace/frontend') =>
  clone.script(
    'kubectl',
    `case "$*" in
*apply*) cat > ${applied};;
*"get secrets"*) cat ${applied} 2> /dev/null || echo '{"items":[]}';;
*"get namespace"*) echo '${namespace}';;
esac`,
  );

const releases = ['app1-back', 'app1-front', 'app2-front'].map((name) => ({ name })) as Release[];

const ensure = (
  { lib, environment, settings, context }: State,
  tls: Partial<Settings['ingress']['tls']> = {},
) => {
  const ingress = { ...settings.ingress, tls: { ...settings.ingress.tls, ...tls } };
  return lib.ensureRouteCertificates(
    { ...context, environment, settings: { ...settings, ingress } },
    releases,
  );
};

test('each front gets a Secret of its own, on stdin, and none is written twice', async (state) => {
  cluster(state);
  assert.is(await ensure(state), 'changed');
  const { items } = JSON.parse(readFileSync(state.applied, 'utf8'));
  assert.equal(
    items.map(
      (secret: { metadata: { name: string }; type: string }) => `${secret.metadata.name} ${secret.type}`,
    ),
    ['app1-front-tls kubernetes.io/tls', 'app2-front-tls kubernetes.io/tls'],
  );
  const key = readFileSync(join(state.environment.state, 'certificates/app1-front.key'), 'base64');
  assert.is(items[0].data['tls.key'], key);
  assert.ok(state.context.secrets.includes(key), 'the key is redacted wherever it would be shown');
  assert.ok(state.clone.calls().every((line) => !line.includes(key)));
  assert.is(await ensure(state), 'unchanged');
});

test('a Secret that was changed behind our back is written again', async (state) => {
  cluster(state);
  await ensure(state);
  const list = JSON.parse(readFileSync(state.applied, 'utf8'));
  list.items[1].data['tls.crt'] = 'other';
  state.clone.script(
    'kubectl',
    `case "$*" in
*apply*) cat > ${state.applied};;
*"get secrets"*) echo '${JSON.stringify(list)}';;
*"get namespace"*) echo namespace/frontend;;
esac`,
  );
  assert.is(await ensure(state), 'changed');
  assert.is(JSON.parse(readFileSync(state.applied, 'utf8')).items.length, 1);
});

test('before its namespace is there a Secret has to wait', async (state) => {
  cluster(state, '');
  assert.is(await ensure(state), 'later');
  assert.not.ok(state.clone.calls().some((line) => line.includes('apply')));
});

test('without TLS, or with certificates of somebody else, nothing is made', async (state) => {
  cluster(state);
  const others: Partial<Settings['ingress']['tls']>[] = [
    { enabled: false },
    { existingSecret: 'wildcard' },
    { clusterIssuer: 'letsencrypt' },
  ];
  for (const tls of others) assert.is(await ensure(state, tls), 'unchanged');
  assert.equal(state.clone.calls(), []);
});

test('an application that is removed takes its certificate along', async (state) => {
  cluster(state);
  await state.lib.removeRouteCertificates({ ...state.context, environment: state.environment }, releases);
  assert.match(
    state.clone.calls()[0] ?? '',
    /-n frontend delete secret app1-front-tls app2-front-tls --ignore-not-found$/,
  );
});

test.run();
