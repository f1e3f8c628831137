import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Container, type ObjectReader, podEnvironment } from '../../../lib/cluster/embedded/job-pod.ts';

const encode = (text: string) => Buffer.from(text).toString('base64');

const objects: Record<string, Record<string, string>> = {
  'Secret/database': { DB_HOST: encode('db'), DB_PASSWORD: encode('pä=ss\n') },
  'Secret/other': { DB_HOST: encode('other') },
  'ConfigMap/settings': { DB_HOST: 'configured', MODE: 'fast' },
};
const read: ObjectReader = async (kind, name) => objects[`${kind}/${name}`];

function resolve(container: Omit<Container, 'name'>, reader = read) {
  const containers = [{ name: 'first', ...container }, { name: 'second' }];
  const metadata = { name: 'back', namespace: 'backend' };
  return podEnvironment({ metadata, spec: { template: { spec: { containers } } } }, reader);
}

/** A variable from the key of a Secret. */
const fromKey = (name: string, secret: string, key = name, optional = false) => ({
  ...{ name, valueFrom: { secretKeyRef: { name: secret, key, optional } } },
});
const fromMap = (name: string, map: string) => ({
  name,
  valueFrom: { configMapKeyRef: { name: map, key: name } },
});
const secretRef = (name: string) => ({ secretRef: { name } });

test('values, keys of Secrets and of ConfigMaps', async () => {
  const plain = { name: 'PLAIN', value: 'text' };
  const env = [
    plain,
    fromKey('PASSWORD', 'database', 'DB_PASSWORD'),
    fromMap('MODE', 'settings'),
    { name: 'EMPTY' },
  ];
  assert.equal(await resolve({ env }), {
    environment: { PLAIN: 'text', PASSWORD: 'pä=ss\n', MODE: 'fast', EMPTY: '' },
    failures: [],
  });
});

test('a later envFrom wins over an earlier one, env over both; a prefix is put before every name', async () => {
  const envFrom = [{ configMapRef: { name: 'settings' } }, secretRef('database')];
  const hostOf = async (container: Omit<Container, 'name'>) => (await resolve(container)).environment.DB_HOST;
  assert.is(await hostOf({ envFrom }), 'db');
  assert.is(await hostOf({ envFrom: envFrom.reverse() }), 'configured');
  assert.is(await hostOf({ envFrom, env: [{ name: 'DB_HOST', value: 'own' }] }), 'own');
  const { environment } = await resolve({ envFrom: [{ prefix: 'APP_', ...secretRef('other') }] });
  assert.equal(environment, { APP_DB_HOST: 'other' });
});

test('$(NAME) refers to what was set before, $$ is one $, an unknown name stays', async () => {
  const url = { name: 'URL', value: 'postgres://$(DB_HOST)/$$(DB_HOST)/$(LATER)' };
  const env = [url, { name: 'LATER', value: 'late' }];
  const { environment } = await resolve({ envFrom: [secretRef('database')], env });
  assert.is(environment.URL, 'postgres://db/$(DB_HOST)/$(LATER)');
});

test('all missing objects and keys are failures, each once, worded like the kubelet’s', async () => {
  const missing = [fromKey('A', 'gone'), fromKey('B', 'database'), fromMap('C', 'lost')];
  const { failures, environment } = await resolve({
    // The ConfigMap of that name does not count.
    envFrom: [secretRef('gone'), secretRef('settings')],
    env: [...missing, { name: 'D', value: 'there' }],
  });
  assert.equal(failures, [
    ...['secret "gone" not found', 'secret "settings" not found'],
    ...["couldn't find key B in Secret backend/database", 'configmap "lost" not found'],
  ]);
  assert.equal(environment, { D: 'there' });
});

test('what is optional may be missing and leaves the value of envFrom; what only the pod knows is left out', async () => {
  const found = await resolve({
    envFrom: [secretRef('database'), { configMapRef: { name: 'gone', optional: true } }],
    env: [fromKey('DB_HOST', 'gone', 'x', true), fromKey('EXTRA', 'database', 'x', true)],
  });
  assert.equal(found, { environment: { DB_HOST: 'db', DB_PASSWORD: 'pä=ss\n' }, failures: [] });
  // Fields of the pod and its resources are left out.
  const env = [{ name: 'DB_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } as object }];
  assert.equal(await resolve({ envFrom: [secretRef('other')], env }), { environment: {}, failures: [] });
});

test('each object is read once', async () => {
  const names: string[] = [];
  const reader: ObjectReader = (kind, name) => {
    names.push(name);
    return read(kind, name);
  };
  const env = [fromKey('DB_HOST', 'database'), fromKey('DB_PASSWORD', 'database')];
  await resolve({ envFrom: [secretRef('database')], env }, reader);
  assert.equal(names, ['database']);
});

test.run();
