import { createPrivateKey, X509Certificate } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { leavesOf } from '../../../lib/ground/tree.ts';
import { secretForms, shortestSecret } from '../../../lib/secrets/leaks.ts';
import { readText, secretOf } from '../sandbox.ts';
import {
  fieldOf,
  filesIn,
  generationOf,
  login,
  loginOf,
  refuses,
  sandbox,
  settingsFile,
  somebody,
  state,
  succeeds,
  until,
  withFile,
} from './shared.ts';

/* Routes, certificates and logins of the applications, and what happens when they change. */

export const applications = suite('applications');

applications('each route has its source ranges and a certificate of the environment’s CA', async () => {
  const internal = 'get middleware app1-front-internal -o jsonpath={.spec.ipAllowList.sourceRange}';
  assert.is(await somebody(`kubectl -n frontend ${internal}`), '["10.244.0.0/16"]');
  const tls = await secretOf(sandbox, 'frontend', 'app1-front-tls');
  const server = new X509Certificate(tls['tls.crt'] ?? '');
  const authority = new X509Certificate(await readText(state('certificates/ca.crt')));
  assert.ok(server.verify(authority.publicKey));
  assert.ok(server.checkPrivateKey(createPrivateKey(tls['tls.key'] ?? '')));
  const host = 'app1-front.development.k8s-deployment.test';
  assert.is(server.checkHost(host), host);
  assert.not.match(await somebody('helm -n frontend get values app1-front --all'), 'PRIVATE KEY');
});

applications(
  'helmfile works with the variables of env, as kubectl, helm, sops and vault do in other tests',
  async () => {
    const values = '--state-values-file environments/common.yaml --state-values-set environment=development';
    assert.match(await somebody(`helmfile --skip-deps ${values} list --output json`), /^\[\{/);
  },
);

applications('init-vault reverts manual changes in Vault, and the audit log has every request', async () => {
  await somebody('vault kv patch -mount=kv app1/database DB_HOST=somewhere >&2');
  const { stderr } = await succeeds('init-vault');
  assert.match(stderr, /changed {3}secret kv\/app1\/database \(DB_HOST\)/);
  const log = await readText(state('logs/vault-audit.log'));
  assert.match(log, /"path":"kv\/data\/app1\/database"/);
  assert.not.ok(log.includes('somewhere'));
});

applications(
  'the operator renews a lease, and before its maximum gives app1 a new login and a restart',
  async () => {
    const user = async () => (await loginOf('app1')).DB_USER;
    const another = async (than: string | undefined, what: string) =>
      until(async () => (await user()) !== than, what);
    // A changed spec makes the operator request a login at once, the first one with the current durations.
    const object = 'vaultdynamicsecret/app1-back-database';
    const renewAt = (percent: number) =>
      somebody(`kubectl -n backend patch ${object} --type merge -p '{"spec":{"renewalPercent":${percent}}}'`);
    const lease = async () => {
      const { secretLease, lastRenewalTime } = JSON.parse(await fieldOf(object, '.status'));
      return { id: secretLease.id as string, renewed: lastRenewalTime as number };
    };
    const brief = (text: string) => text.replace('ttl: 1h\n    maxTtl: 24h', 'ttl: 6s\n    maxTtl: 15s');
    await withFile(sandbox.path('vault/state.yaml'), brief, async () => {
      const asked = await succeeds('init-vault');
      assert.match(asked.stderr, /changed {3}database role database\/roles\/app1-back/);
      const before = await user();
      await renewAt(50);
      await another(before, 'a login with short times');

      let first = await lease();
      await until(async () => {
        const now = await lease();
        if (now.id === first.id) return now.renewed > first.renewed;
        first = now;
        return false;
      }, 'a lease is prolonged');
      let short = await loginOf('app1');
      let generation = 0;
      // A busy machine may see a login only after its maximum.
      await until(async () => {
        generation = await generationOf('app1-back');
        short = await loginOf('app1');
        return (await login(short)) === undefined;
      }, 'a login with short times works');
      await another(short.DB_USER, 'another login');
      await until(async () => (await generationOf('app1-back')) > generation, 'app1 is restarted');
      const isRefused = async () => /authentication failed/.test((await login(short)) ?? '');
      await until(isRefused, 'the old login is gone');
    });
    await succeeds('init-vault');
    const last = await user();
    await renewAt(67);
    await another(last, 'a login with the usual times');
    assert.is(await login(await loginOf('app1')), undefined);
  },
);

applications('a failed check rolls the release back and is named', async () => {
  const secret = await loginOf('app2');
  const { DB_USER = '', DB_PASSWORD = '' } = secret;
  const changed = 'changed-behind-its-back';
  assert.is(await login(secret, DB_PASSWORD, `ALTER ROLE ${DB_USER} PASSWORD '${changed}'`), undefined);
  const more = (text: string) => text.replace('minReplicas: 3', 'minReplicas: 4');
  await withFile(settingsFile(), more, async () => {
    for (const words of ['install-app app2', 'test-app app2']) {
      const { exitCode, stderr } = await sandbox.task(...words.split(' '));
      assert.is(exitCode, 1);
      assert.match(stderr, /FAILED database login: password authentication failed for user "app2"/);
      assert.match(stderr, /run `.* rotate-database-password`/);
      assert.not.ok(stderr.includes(DB_PASSWORD));
    }
    const history = JSON.parse(await somebody('helm -n backend history app2-back -o json'));
    assert.match(history.at(-1).description, /^Rollback to \d+$/);

    assert.is(await login(secret, changed, `ALTER ROLE ${DB_USER} PASSWORD '${DB_PASSWORD}'`), undefined);
    const replicas = () => fieldOf('deployment/app2-back', '.spec.replicas');
    await until(async () => (await replicas()) === '3', 'the old number of replicas');
  });
});

applications('events, logs, reports and diagnostics contain no secret', async () => {
  const { DB_PASSWORD = '' } = await loginOf('app2');
  const keys = JSON.parse(await readText(state('vault/keys.json')));
  const values = [DB_PASSWORD, ...leavesOf(keys).map(({ value }) => String(value))];
  const secrets = values.filter(({ length }) => length >= shortestSecret);
  assert.ok(secrets.length >= 3);
  const forms = secrets.flatMap(secretForms);
  const showing = (text: string): boolean => forms.some((form) => text.includes(form.text));

  const reports = ['--report', sandbox.path('run.html'), '--trace', sandbox.path('run.json')];
  const words = ['install-app', 'app2', '--verbose', '--output', 'json', ...reports, '--', '--debug'];
  const { stdout, stderr } = await succeeds(...words);
  const texts = new Map([
    ['output', stdout + stderr],
    ['events', await somebody('kubectl get events --all-namespaces --output yaml')],
  ]);
  const folders = ['.state/development/logs', '.state/development/diagnostics', '.tasks'];
  for (const file of ['run.html', 'run.json']) texts.set(file, await readText(sandbox.path(file)));
  // the failure above has left diagnostics
  for (const folder of folders) {
    const found = await filesIn(sandbox.path(folder));
    assert.ok(found.length > 0, folder);
    for (const file of found) texts.set(file, await readText(sandbox.path(folder, file)));
  }
  for (const [name, text] of texts) {
    assert.ok(text.length > 0, name);
    assert.not.ok(showing(text), name);
  }
  // helm stores values and manifests of each revision; those of two releases contain the password
  const releases = JSON.parse(await somebody('helm list --all-namespaces --output json'));
  const holders: string[] = [];
  for (const { name, namespace } of releases as { name: string; namespace: string }[])
    if (showing(await somebody(`helm --namespace ${namespace} get all ${name}`))) holders.push(name);
  assert.equal(holders.sort(), ['devops', 'postgresql']);
});

applications('a release that is left out is removed by the next install, and comes back', async () => {
  const without = (text: string) => `${text}\n  reloader: { installed: false }\n`;
  const isInstalled = async () => (await somebody('helm -n core list --short')).includes('reloader');
  await withFile(settingsFile(), without, async () => {
    const planned = await succeeds('diff-tier', 'core');
    assert.match(planned.stdout, 'reloader: would be removed, since releases.reloader.installed is false');
    assert.match((await succeeds('install-tier', 'core')).stderr, 'removing: reloader');
    assert.not.ok(await isInstalled());
    assert.match((await succeeds('install-app', 'reloader')).stderr, 'left out by the settings: reloader');
    await succeeds('test-app', 'reloader');
  });
  const needed = (text: string) => `${text}\n  postgresql: { installed: false }\n`;
  await withFile(settingsFile(), needed, async () => {
    await refuses(['install-all'], 1, /postgresql\.installed is false, but app1-back needs postgresql/);
  });
  await succeeds('install-app', 'reloader');
  assert.ok(await isInstalled());
});

applications('lost certificates are recreated and used everywhere', async () => {
  const record = state('services/postgresql.json');
  const server = JSON.parse(await readText(record));
  await rm(state('certificates'), { recursive: true });
  await succeeds('install-tier', 'apps');
  assert.is(await login(await loginOf('app2')), undefined);
  // The state after a run that was killed before it passed the new certificate to the server.
  await writeFile(record, JSON.stringify({ ...server, certificate: 'older' }));
  await succeeds('create-k8s');
  const now = JSON.parse(await readText(record));
  assert.is.not(now.certificate, 'older');
  assert.is(now.pid, server.pid, 'PostgreSQL was not started again');
  await succeeds('init-vault');
  const { stderr } = await succeeds('test');
  assert.match(stderr, /ok database login.*run as a process of this machine/);
});

applications('tasks that the embedded cluster does not support say so', async () => {
  const said = /no ingress to test.*\n {2}why: .*simulated.*\n {2}do: use --provider minikube/;
  await refuses(['test-ingress', 'app1'], 1, said);
});
