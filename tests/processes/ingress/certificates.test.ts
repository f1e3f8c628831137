import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { ensureRouteCertificates, removeRouteCertificates } from '../../../lib/ingress/certificates.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';

const test = suite<{ context: CloneContext }>('certificates of the routes');
const project = scriptedFolder('environments', 'lib/certificates/certificates.cnf');
const applied = join(project.folder, '..', 'applied');

test.before.each(async (state) => {
  state.context = await project.context('existing');
  project.forget();
  rmSync(applied, { force: true });
});
test.after(project.remove);

/** A cluster that keeps what is applied. */
const cluster = (namespace = 'namespace/frontend') =>
  project.script(
    'kubectl',
    `case "$*" in
*apply*) cat > ${applied};;
*"get secrets"*) cat ${applied} 2> /dev/null || echo '{"items":[]}';;
*"get namespace"*) echo '${namespace}';;
esac`,
  );

const releases = ['app1-back', 'app1-front', 'app2-front'].map((name) => ({ name })) as Release[];

const ensure = ({ settings, ...context }: CloneContext, tls: Partial<Settings['ingress']['tls']> = {}) => {
  const ingress = { ...settings.ingress, tls: { ...settings.ingress.tls, ...tls } };
  return ensureRouteCertificates({ ...context, settings: { ...settings, ingress } }, releases);
};

test('each front gets its own Secret, on stdin, and none is written twice', async ({ context }) => {
  cluster();
  assert.is(await ensure(context), 'changed');
  const { items } = JSON.parse(readFileSync(applied, 'utf8'));
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
  assert.is(await ensure(context), 'unchanged');
});

test('a Secret that others changed is written again', async ({ context }) => {
  cluster();
  await ensure(context);
  const list = JSON.parse(readFileSync(applied, 'utf8'));
  list.items[1].data['tls.crt'] = 'other';
  project.script(
    'kubectl',
    `case "$*" in
*apply*) cat > ${applied};;
*"get secrets"*) echo '${JSON.stringify(list)}';;
*"get namespace"*) echo namespace/frontend;;
esac`,
  );
  assert.is(await ensure(context), 'changed');
  assert.is(JSON.parse(readFileSync(applied, 'utf8')).items.length, 1);
});

test('without its namespace a Secret is written later', async ({ context }) => {
  cluster('');
  assert.is(await ensure(context), 'later');
  assert.not.ok(project.calls().some((line) => line.includes('apply')));
});

test('without TLS, or with other certificates, nothing is created', async ({ context }) => {
  cluster();
  const others: Partial<Settings['ingress']['tls']>[] = [
    { enabled: false },
    { existingSecret: 'wildcard' },
    { clusterIssuer: 'letsencrypt' },
  ];
  for (const tls of others) assert.is(await ensure(context, tls), 'unchanged');
  assert.equal(project.calls(), []);
});

test('the certificate of an uninstalled application is removed', async ({ context }) => {
  cluster();
  await removeRouteCertificates(context, releases);
  assert.match(
    project.calls()[0] ?? '',
    /-n frontend delete secret app1-front-tls app2-front-tls --ignore-not-found$/,
  );
});

test.run();
