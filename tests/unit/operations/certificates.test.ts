import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { describeExpiries, readExpiries } from '../../../lib/operations/certificates.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { taskContext } from '../../rig/task-context.ts';

const project = copyOf('environments', 'helmfile.yaml');
/** Stands for the authority and for every certificate that it signed: only its issuer and its times count. */
const { authority: pem } = await makeCertificate(temporaryFolder(), 'development local CA', ['DNS:x'], 365);
const end = Date.parse(new X509Certificate(pem).validTo);

test.after.each(project.reset);

const base64 = (text: string) => Buffer.from(text).toString('base64');
const secret = (namespace: string, name: string, release: string, more: object = {}) => ({
  metadata: { namespace, name, labels: { 'app.kubernetes.io/instance': release } },
  data: { 'tls.crt': base64(pem), 'tls.key': base64('a key'), ...more },
});
const day = 24 * 60 * 60 * 1000;

/** The lines of `status` so many days before the certificates end. */
async function lines(provider: ProviderName, daysLeft: number, managed: readonly object[] = []) {
  const secrets = [
    secret('vault', 'vault-tls', 'devops', { 'ca.crt': base64(pem) }),
    secret('frontend', 'app1-front-tls', 'app1-front'),
    secret('frontend', 'gone-tls', 'gone'),
    { ...secret('frontend', 'of-others', 'x'), data: { 'tls.crt': base64('?') } },
  ];
  const context = {
    ...taskContext({ env: 'development', provider }, [], project.folder),
    $: answeringShell((command) => ({
      stdout: JSON.stringify({ items: command.includes('cert-manager') ? managed : secrets }),
    })),
  };
  // Half a day for the time between.
  const now = new Date(end - (daysLeft + 0.5) * day);
  return describeExpiries(await readExpiries(context, now), now);
}

test('an own certificate comes with the task that renews it when an install would: below 30 days', async () => {
  const far = (await lines('minikube', 120)).join('\n');
  assert.not.match(far, 'renew');
  assert.match(far, /^vault\/vault-tls {10}120 days left$/m);
  assert.equal((await lines('minikube', 30))[1], 'vault/vault-tls          30 days left');
  assert.equal((await lines('minikube', 29)).slice(1), [
    'vault/vault-tls          29 days left; renew it with `npx tsx tasks.ts install-app devops`',
    'frontend/app1-front-tls  29 days left; renew it with `npx tsx tasks.ts install-app app1`',
    'frontend/gone-tls        29 days left; renew it with `npx tsx tasks.ts install-all`',
  ]);
  assert.match((await lines('minikube', -2))[1] ?? '', 'expired; renew it');
  // Not valid yet.
  assert.match((await lines('minikube', 367))[1] ?? '', 'renew it');
});

test('the authority is renewed before a certificate that it would sign, on a shared cluster on request', async () => {
  assert.is((await lines('minikube', 120))[0], 'authority                120 days left');
  const [own, shared] = await Promise.all([lines('minikube', 119), lines('existing', 119)]);
  const text = 'authority                119 days left; renew it with `npx tsx tasks.ts install-all';
  assert.equal([own[0], shared[0]], [`${text}\``, `${text} --replace-authority\``]);
});

test('a certificate of cert-manager is reported when its renewal is late, or it is not ready', async () => {
  writeFileSync(
    join(project.folder, 'environments/development/zz.yaml'),
    'ingress: { tls: { clusterIssuer: x } }',
  );
  const managed = (name: string, renewalDaysBefore: number | undefined, ready: string) => {
    const before = (days: number) => new Date(end - days * day).toISOString();
    const times = renewalDaysBefore && { notAfter: before(0), renewalTime: before(renewalDaysBefore) };
    const conditions = [{ type: 'Ready', status: ready }];
    return { metadata: { namespace: 'frontend', name }, status: { conditions, ...times } };
  };
  const all = [managed('fine', 20, 'True'), managed('late', 40, 'True'), managed('new', undefined, 'False')];
  const describe = 'kubectl -n frontend describe certificate';
  assert.equal((await lines('existing', 35, all)).slice(-3), [
    'frontend/fine            35 days left',
    `frontend/late            35 days left; cert-manager has not renewed it: ${describe} late`,
    `frontend/new             not issued; cert-manager has not issued it: ${describe} new`,
  ]);
});

test.run();
