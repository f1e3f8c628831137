import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type PodSpec, podEnvironment } from '../../../lib/cluster/embedded/job-pod.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { failureOf } from '../../rig/task-context.ts';

const encode = (text: string) => Buffer.from(text).toString('base64');

const objects: Record<string, Record<string, string>> = {
  'secrets/database': { DB_HOST: encode('db'), DB_PASSWORD: encode('pä=ss\n') },
  'secrets/other': { DB_HOST: encode('other') },
  'configmaps/settings': { DB_HOST: 'configured', MODE: 'fast' },
};
const namespace = '/api/v1/namespaces/backend/';
const cluster = () =>
  scriptedApi((_, path) => {
    const data = objects[path.slice(namespace.length)];
    return data && path.startsWith(namespace) ? { body: { data } } : { status: 404 };
  });

type Container = Omit<PodSpec['containers'][number], 'name'>;

const resolve = (container: Container, { api } = cluster()) =>
  podEnvironment(api, 'backend', { containers: [{ name: 'first', ...container }, { name: 'second' }] });

const fromKey = (name: string, secret: string, key = name, optional = false) => ({
  ...{ name, valueFrom: { secretKeyRef: { name: secret, key, optional } } },
});
const fromMap = (name: string, map: string) => ({
  name,
  valueFrom: { configMapKeyRef: { name: map, key: name } },
});
const secretRef = (name: string) => ({ secretRef: { name } });

test('a later envFrom wins over an earlier one, env over both; a prefix is put before every name', async () => {
  const envFrom = [{ configMapRef: { name: 'settings' } }, secretRef('database')];
  const hostOf = async (container: Container) => (await resolve(container)).environment.DB_HOST;
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
    env: [
      ...[fromKey('DB_HOST', 'gone', 'x', true), fromKey('EXTRA', 'database', 'x', true), { name: 'EMPTY' }],
      ...[fromKey('OWN', 'database', 'DB_PASSWORD'), fromMap('MODE', 'settings')],
    ],
  });
  const database = { DB_HOST: 'db', DB_PASSWORD: 'pä=ss\n', OWN: 'pä=ss\n' };
  assert.equal(found, { environment: { ...database, MODE: 'fast', EMPTY: '' }, failures: [] });
  // Fields of the pod and its resources are left out.
  const env = [{ name: 'DB_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } as object }];
  assert.equal(await resolve({ envFrom: [secretRef('other')], env }), { environment: {}, failures: [] });
});

test('each object is read once; one that cannot be read is an error', async () => {
  const { api, calls } = cluster();
  const env = [fromKey('DB_HOST', 'database'), fromKey('DB_PASSWORD', 'database')];
  await resolve({ envFrom: [secretRef('database')], env }, { api, calls });
  assert.equal(
    calls.map(({ path }) => path),
    [`${namespace}secrets/database`],
  );
  const failing = scriptedApi(() => ({ status: 503 }));
  const { message } = await failureOf(resolve({ env }, failing));
  assert.is(message, 'reading secrets/database failed with HTTP 503');
});

test.run();
