import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { ensureRouteCertificates, removeRouteCertificates } from '../../../lib/ingress/certificates.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { context, printing, scriptedSuite } from '../../rig/scripted-folder.ts';

const cnf = 'lib/certificates/certificates.cnf';
const { test, project } = scriptedSuite('certificates of the routes', 'existing', 'environments', cnf);
const file = join(project.folder, '..', 'applied');
const applied = () => JSON.parse(readFileSync(file, 'utf8')).items;

test.before.each(() => rmSync(file, { force: true }));

/** A cluster that keeps what is applied. */
const cluster = (
  namespace = 'namespace/frontend',
  secrets = `cat ${file} 2> /dev/null || echo '{"items":[]}'`,
) =>
  project.script('kubectl', {
    apply: `cat > ${file}`,
    'get secrets': secrets,
    'get namespace': `echo '${namespace}'`,
  });

const releases = ['app1-back', 'app1-front', 'app2-front'].map((name) => ({ name })) as Release[];

const ensure = (tls: Partial<Settings['ingress']['tls']> = {}) => {
  const { settings } = context;
  const ingress = { ...settings.ingress, tls: { ...settings.ingress.tls, ...tls } };
  return ensureRouteCertificates({ ...context, settings: { ...settings, ingress } }, releases);
};

test('each front gets its own Secret, on stdin; none is written twice, unless others changed it', async () => {
  cluster();
  assert.is(await ensure(), 'changed');
  const items = applied();
  assert.equal(
    items.map(
      (secret: { metadata: { name: string }; type: string }) => `${secret.metadata.name} ${secret.type}`,
    ),
    ['app1-front-tls kubernetes.io/tls', 'app2-front-tls kubernetes.io/tls'],
  );
  const key = readFileSync(join(context.environment.state, 'certificates/app1-front.key'), 'base64');
  assert.is(items[0].data['tls.key'], key);
  assert.ok(context.secrets.includes(key), 'the key is redacted');
  assert.ok(project.calls().every((line) => !line.includes(key)));
  assert.is(await ensure(), 'unchanged');
  items[1].data['tls.crt'] = 'other';
  cluster(undefined, printing({ items }));
  assert.is(await ensure(), 'changed');
  assert.is(applied().length, 1);
});

test('without its namespace a Secret is written later', async () => {
  cluster('');
  assert.is(await ensure(), 'later');
  assert.not.ok(project.calls().some((line) => line.includes('apply')));
});

test('without TLS, or with other certificates, nothing is created', async () => {
  cluster();
  for (const tls of [{ enabled: false }, { existingSecret: 'wildcard' }, { clusterIssuer: 'letsencrypt' }])
    assert.is(await ensure(tls), 'unchanged');
  assert.equal(project.calls(), []);
});

test('the certificate of an uninstalled application is removed', async () => {
  cluster();
  await removeRouteCertificates(context, releases);
  assert.match(
    project.calls()[0] ?? '',
    /-n frontend delete secret app1-front-tls app2-front-tls --ignore-not-found$/,
  );
});

test.run();
