import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { describeExpiries, readExpiries } from '../../../lib/operations/certificates.ts';
import { destroyQuestion } from '../../../lib/operations/destroy.ts';
import type { Status } from '../../../lib/operations/status.ts';
import { formatStatus } from '../../../lib/operations/status-text.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { answeringShell, taskContext } from '../../rig/task-context.ts';

// A folder without state: the keys of somebody's environment are in that of the project.
const project = copyOf('environments', 'helmfile.yaml');

const context = {
  ...taskContext({ env: 'development', provider: 'minikube' }, project.folder),
  $: answeringShell(() => ({ exitCode: 1, stderr: 'no cluster' })),
};

const absent: Status = {
  ...{ environment: 'development', provider: 'minikube', vault: null, database: null },
  cluster: { state: 'absent', kubernetesVersion: null, nodes: [] },
  ...{ faults: [], releases: [], notInstalled: [], certificates: [], unreadyPods: [] },
};

const lines = async (changes: Partial<Status>): Promise<string[]> =>
  (await formatStatus({ ...absent, ...changes }, context)).split('\n');

test('on a fresh clone it shows that nothing exists, and how to create it', async () => {
  assert.equal(await lines({}), [
    'environment  development (minikube)',
    'cluster      absent',
    'vault        -',
    'database     -',
    '',
    'create it with: npx tsx tasks.ts create-environment',
  ]);
});

test('what is stopped, sealed or does not answer comes with the task that starts it', async () => {
  const last = async (changes: Partial<Status>) => (await lines(changes)).at(-1);
  const start = 'with: npx tsx tasks.ts start-k8s';
  assert.is(await last({ cluster: { ...absent.cluster, state: 'stopped' } }), `start it ${start}`);
  const degraded = { ...absent.cluster, state: 'degraded' } as const;
  assert.is(await last({ cluster: degraded }), `start what is missing ${start}`);
  const release = (name: string) => ({ name, namespace: name, status: 'deployed', revision: 1 });
  assert.is(await last({ cluster: degraded, advice: 'log in' }), 'log in');
  const running: Partial<Status> = {
    cluster: { ...absent.cluster, state: 'running' },
    releases: [release('vault'), release('postgresql')],
    vault: { initialized: true, sealed: false, configured: true },
    database: { reachable: true },
  };
  assert.is(
    await last({ ...running, notInstalled: ['reloader', 'app1-back'] }),
    'finish it with: npx tsx tasks.ts create-environment',
  );
  const none = { vault: null, database: null };
  for (const [changes, isAdvised] of [
    [{ notInstalled: ['app1-back'] }, false],
    [{ vault: { initialized: true, sealed: true, configured: false } }, true],
    [{ database: { reachable: false } }, true],
    [none, true],
    // Not deployed yet, or not initialised: there is nothing to start.
    [{ ...none, releases: [] }, false],
    [{ vault: { initialized: false, sealed: true, configured: false } }, false],
    [{ ...none, provider: 'existing' }, false],
  ] as [Partial<Status>, boolean][])
    assert.is((await last({ ...running, ...changes }))?.endsWith(start), isAdvised, JSON.stringify(changes));
  const unreachable = ['vault        not reachable', 'database     not reachable'];
  assert.equal((await lines({ ...running, ...none })).slice(2, 4), unreachable);
  writeFileSync(join(project.folder, 'environments/development/own.yaml'), 'clustr: 1\n');
  const unknown = 'vault        not known, since the settings cannot be read';
  const broken = await lines({ ...running, ...none });
  assert.is(broken[2], unknown);
  assert.is(broken.at(-1), 'correct the settings: Did you mean `cluster`?');
  project.reset();
});

test('what is known of cluster, Vault and database is said in words', async () => {
  const nodes = [true, false].map((ready, index) => ({ name: `${index}`, ready }));
  const [, cluster] = await lines({ cluster: { state: 'creating', kubernetesVersion: 'v1.31.0', nodes } });
  assert.is(cluster, 'cluster      creating, Kubernetes v1.31.0, 1 of 2 nodes ready');
  const create = 'run `npx tsx tasks.ts create-environment`';
  for (const [initialized, sealed, configured, words] of [
    [false, true, false, `not initialised: ${create}`],
    [true, true, false, 'sealed'],
    [true, false, false, 'unsealed, not configured: run `npx tsx tasks.ts init-vault`'],
    [true, false, true, 'unsealed, configured'],
    [true, false, null, 'unsealed; whether it is configured is not known'],
  ] as const)
    assert.is((await lines({ vault: { initialized, sealed, configured } }))[2], `vault        ${words}`);
  assert.is((await lines({ database: { reachable: true } }))[3], 'database     reachable');
});

test('releases stand in columns, and simulated parts are marked', async () => {
  const named = async (name: string, changes: Partial<Status>) =>
    (await lines(changes)).filter((line) => line.startsWith(name));
  const releases = [
    { name: 'devops', namespace: 'core', status: 'deployed', revision: 1 },
    { name: 'app1-back', namespace: 'backend', status: 'failed', revision: 12 },
  ];
  assert.equal(await named('release', { releases }), [
    'release      devops     core      deployed, revision 1',
    'release      app1-back  backend   failed, revision 12',
  ]);
  const embedded = { provider: 'embedded', cluster: { ...absent.cluster, state: 'creating' } } as const;
  assert.is((await named('simulated    nodes, pods', embedded)).length, 1);
  assert.equal(await named('simulated', {}), []);
});

test('the name has to be typed in production, and where the settings cannot say that it is none', async () => {
  for (const [env, provider, word] of [
    ['production', 'existing', 'production'],
    ['lab', 'existing', undefined],
    ['development', 'embedded', undefined],
    ['removed', 'existing', 'removed'],
    ['removed', 'embedded', undefined],
  ] as const) {
    const asked = await destroyQuestion({ environment: environmentOf({ env, provider, context: 'team' }) });
    assert.is(typeof asked === 'object' ? asked.word : undefined, word, `${env} ${provider}`);
  }
  const nowhere = environmentOf({ env: 'production', provider: 'existing' });
  assert.is(await destroyQuestion({ environment: nowhere }), undefined, 'no cluster is named');
});

/** Stands for the authority and for every certificate that it signed: only its issuer and its times count. */
const { authority: pem } = await makeCertificate(temporaryFolder(), 'development local CA', ['DNS:x'], 365);
const end = Date.parse(new X509Certificate(pem).validTo);

const base64 = (text: string) => Buffer.from(text).toString('base64');
const secret = (namespace: string, name: string, release: string, more: object = {}) => ({
  metadata: { namespace, name, labels: { 'app.kubernetes.io/instance': release } },
  data: { 'tls.crt': base64(pem), 'tls.key': base64('a key'), ...more },
});
const day = 24 * 60 * 60 * 1000;

/** The lines of `status` so many days before the certificates end. */
async function expiries(provider: ProviderName, daysLeft: number, managed: readonly object[] = []) {
  const secrets = [
    secret('vault', 'vault-tls', 'devops', { 'ca.crt': base64(pem) }),
    secret('frontend', 'app1-front-tls', 'app1-front'),
    secret('frontend', 'gone-tls', 'gone'),
    { ...secret('frontend', 'of-others', 'x'), data: { 'tls.crt': base64('?') } },
  ];
  const context = {
    ...taskContext({ env: 'development', provider }, project.folder),
    $: answeringShell((command) => ({
      stdout: JSON.stringify({ items: command.includes('cert-manager') ? managed : secrets }),
    })),
  };
  // Half a day for the time between.
  const now = new Date(end - (daysLeft + 0.5) * day);
  return describeExpiries(await readExpiries(context, now), now);
}

test('an own certificate comes with the task that renews it when an install would: below 30 days', async () => {
  const far = (await expiries('minikube', 120)).join('\n');
  assert.not.match(far, 'renew');
  assert.match(far, /^vault\/vault-tls {10}120 days left$/m);
  assert.equal((await expiries('minikube', 30))[1], 'vault/vault-tls          30 days left');
  assert.equal((await expiries('minikube', 29)).slice(1), [
    'vault/vault-tls          29 days left; renew it with `npx tsx tasks.ts install-app devops`',
    'frontend/app1-front-tls  29 days left; renew it with `npx tsx tasks.ts install-app app1`',
    'frontend/gone-tls        29 days left; renew it with `npx tsx tasks.ts install-all`',
  ]);
  assert.match((await expiries('minikube', -2))[1] ?? '', 'expired; renew it');
  // Not valid yet.
  assert.match((await expiries('minikube', 367))[1] ?? '', 'renew it');
});

test('the authority is renewed before a certificate that it would sign, on a shared cluster on request', async () => {
  assert.is((await expiries('minikube', 120))[0], 'authority                120 days left');
  const [own, shared] = await Promise.all([expiries('minikube', 119), expiries('existing', 119)]);
  const text = 'authority                119 days left; renew it with `npx tsx tasks.ts install-all';
  assert.equal([own[0], shared[0]], [`${text}\``, `${text} --replace-authority\``]);
});

test('a certificate of cert-manager is reported when its renewal is late, or it is not ready', async () => {
  const settings = join(project.folder, 'environments/development/zz.yaml');
  writeFileSync(settings, 'ingress: { tls: { clusterIssuer: x } }');
  const managed = (name: string, renewalDaysBefore: number | undefined, ready: string) => {
    const before = (days: number) => new Date(end - days * day).toISOString();
    const times = renewalDaysBefore && { notAfter: before(0), renewalTime: before(renewalDaysBefore) };
    const conditions = [{ type: 'Ready', status: ready }];
    return { metadata: { namespace: 'frontend', name }, status: { conditions, ...times } };
  };
  const all = [managed('fine', 20, 'True'), managed('late', 40, 'True'), managed('new', undefined, 'False')];
  const describe = 'kubectl -n frontend describe certificate';
  assert.equal((await expiries('existing', 35, all)).slice(-3), [
    'frontend/fine            35 days left',
    `frontend/late            35 days left; cert-manager has not renewed it: ${describe} late`,
    `frontend/new             not issued; cert-manager has not issued it: ${describe} new`,
  ]);
});

test.run();
