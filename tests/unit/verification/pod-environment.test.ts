import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Container,
  type ObjectReader,
  podEnvironment,
} from '../../../lib/verification/pod-environment.ts';

const encode = (text: string) => Buffer.from(text).toString('base64');

const objects: Record<string, Record<string, string>> = {
  'Secret/database': { DB_HOST: encode('db'), DB_PASSWORD: encode('pä=ss\n') },
  'Secret/other': { DB_HOST: encode('other') },
  'ConfigMap/settings': { DB_HOST: 'configured', MODE: 'fast' },
};
const read: ObjectReader = async (kind, name) => objects[`${kind}/${name}`];

function resolve(container: Omit<Container, 'name'>, reader = read) {
  const workload = {
    metadata: { name: 'back', namespace: 'backend' },
    spec: {
      template: {
        spec: { containers: [{ name: 'first', ...container }, { name: 'second' }] },
      },
    },
  };
  return podEnvironment(workload, reader);
}

test('values, keys of Secrets and of ConfigMaps', async () => {
  const { environment, failures } = await resolve({
    env: [
      { name: 'PLAIN', value: 'text' },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'database', key: 'DB_PASSWORD' } } },
      { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'MODE' } } },
      { name: 'EMPTY' },
    ],
  });
  assert.equal(environment, { PLAIN: 'text', PASSWORD: 'pä=ss\n', MODE: 'fast', EMPTY: '' });
  assert.equal(failures, []);
});

test('a later envFrom wins over an earlier one, env over both', async () => {
  const envFrom = [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'database' } }];
  assert.is((await resolve({ envFrom })).environment.DB_HOST, 'db');
  assert.is((await resolve({ envFrom: envFrom.reverse() })).environment.DB_HOST, 'configured');
  assert.is(
    (await resolve({ envFrom, env: [{ name: 'DB_HOST', value: 'own' }] })).environment.DB_HOST,
    'own',
  );
});

test('envFrom puts its prefix before every name', async () => {
  const { environment } = await resolve({ envFrom: [{ prefix: 'APP_', secretRef: { name: 'other' } }] });
  assert.equal(environment, { APP_DB_HOST: 'other' });
});

test('$(NAME) refers to what was set before, $$ is one $, an unknown name stays', async () => {
  const { environment } = await resolve({
    envFrom: [{ secretRef: { name: 'database' } }],
    env: [
      { name: 'URL', value: 'postgres://$(DB_HOST)/$$(DB_HOST)/$(LATER)' },
      { name: 'LATER', value: 'late' },
    ],
  });
  assert.is(environment.URL, 'postgres://db/$(DB_HOST)/$(LATER)');
});

test('all missing objects and keys are failures, each once, worded like the kubelet’s', async () => {
  const { failures, environment } = await resolve({
    // The ConfigMap of that name does not count.
    envFrom: [{ secretRef: { name: 'gone' } }, { secretRef: { name: 'settings' } }],
    env: [
      { name: 'A', valueFrom: { secretKeyRef: { name: 'gone', key: 'A' } } },
      { name: 'B', valueFrom: { secretKeyRef: { name: 'database', key: 'B' } } },
      { name: 'C', valueFrom: { configMapKeyRef: { name: 'lost', key: 'C' } } },
      { name: 'D', value: 'there' },
    ],
  });
  assert.equal(failures, [
    { check: 'pod environment', reason: 'secret "gone" not found' },
    { check: 'pod environment', reason: 'secret "settings" not found' },
    { check: 'pod environment', reason: "couldn't find key B in Secret backend/database" },
    { check: 'pod environment', reason: 'configmap "lost" not found' },
  ]);
  assert.equal(environment, { D: 'there' });
});

test('what is optional may be missing and leaves the value of envFrom', async () => {
  const { failures, environment } = await resolve({
    envFrom: [{ secretRef: { name: 'database' } }, { configMapRef: { name: 'gone', optional: true } }],
    env: [
      { name: 'DB_HOST', valueFrom: { secretKeyRef: { name: 'gone', key: 'x', optional: true } } },
      { name: 'EXTRA', valueFrom: { secretKeyRef: { name: 'database', key: 'x', optional: true } } },
    ],
  });
  assert.equal(failures, []);
  assert.equal(environment, { DB_HOST: 'db', DB_PASSWORD: 'pä=ss\n' });
});

test('fields of the pod and its resources are left out, as what only the pod knows', async () => {
  const { environment, failures } = await resolve({
    envFrom: [{ secretRef: { name: 'other' } }],
    env: [{ name: 'DB_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } as object }],
  });
  assert.equal(environment, {});
  assert.equal(failures, []);
});

test('each object is read once', async () => {
  const names: string[] = [];
  const reader: ObjectReader = (kind, name) => {
    names.push(name);
    return read(kind, name);
  };
  const reference = (key: string) => ({ name: key, valueFrom: { secretKeyRef: { name: 'database', key } } });
  await resolve(
    { envFrom: [{ secretRef: { name: 'database' } }], env: [reference('DB_HOST'), reference('DB_PASSWORD')] },
    reader,
  );
  assert.equal(names, ['database']);
});

test.run();
