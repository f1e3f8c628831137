import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Status } from '../../lib/operations/status.ts';
import { leavesOf } from '../../lib/secrets/encrypted-file.ts';
import { secretForms, shortestSecret } from '../../lib/secrets/secret-forms.ts';
import { makeSandbox, processesOf, readText, type Sandbox, secretOf } from './sandbox.ts';

/*
 * The main job from a fresh clone to nothing left, on the embedded cluster: a real API server, Vault, operator and PostgreSQL.
 * The tests build on each other and run in this order.
 */

const flow = suite('main flow');
let sandbox: Sandbox;

const status = async (): Promise<Status> =>
  JSON.parse((await sandbox.task('status', '--json')).stdout) as Status;

const revisions = async (): Promise<string> =>
  (await status()).releases.map(({ name, revision }) => `${name}:${revision}`).join(' ');

/** Logs in with the parameters of an application through `kubectl port-forward`, as a person would. Returns the server's refusal, or undefined. */
async function login(
  secret: Readonly<Record<string, string>>,
  password = secret.DB_PASSWORD ?? '',
  sql = 'SELECT 1',
): Promise<string | undefined> {
  const kubeconfig = sandbox.path('.state/development/kubeconfig');
  const words = ['--kubeconfig', kubeconfig, '-n', 'database', 'port-forward', 'svc/postgresql', ':5432'];
  // Its own kubectl must not be what leaves something in the home that is looked at in the end.
  const env = { ...sandbox.env, KUBECACHEDIR: sandbox.path('.state/development/kube-cache') };
  const forward = spawn('kubectl', words, { stdio: ['ignore', 'pipe', 'ignore'], env });
  try {
    const [line] = (await once(createInterface({ input: forward.stdout }), 'line')) as [string];
    const port = Number(/:(\d+) ->/.exec(line)?.[1]);
    const { DB_USER: user = '', DB_NAME: database = '' } = secret;
    const client = new Client({
      ...{ host: '127.0.0.1', port, user, password, database },
      // What a backend has in DB_SSLROOTCERT; the server takes nothing but TLS.
      ssl: { ca: await readFile(sandbox.path('.state/development/certificates/ca.crt'), 'utf8') },
    });
    try {
      await client.connect();
      await client.query(sql);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await client.end().catch(() => undefined);
    }
  } finally {
    forward.kill();
    await once(forward, 'close');
  }
}

/** Changes a part of a file of the clone, and gives it back with the returned function. */
async function change(path: string, from: string, to: string): Promise<() => Promise<void>> {
  const file = sandbox.path(path);
  const before = await readFile(file, 'utf8');
  assert.ok(before.includes(from), `${path} holds \`${from}\``);
  await writeFile(file, before.replace(from, to));
  return () => writeFile(file, before);
}

const settingsFile = 'environments/development/settings.yaml';

/** A field of an object in the namespace of the backends. */
const fieldOf = async (object: string, path: string): Promise<string> =>
  (await sandbox.shell(`kubectl -n backend get ${object} -o jsonpath={${path}}`)).stdout;

/** Rises with each restart. */
const generationOf = async (deployment: string): Promise<number> =>
  Number(await fieldOf(`deployment/${deployment}`, '.metadata.generation'));

const app1Secret = () => secretOf(sandbox, 'backend', 'app1-back-database');
const app2Secret = () => secretOf(sandbox, 'backend', 'app2-back-database');

async function until(holds: () => Promise<boolean>, what: string, seconds = 90): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what} within ${seconds} s`);
    await delay(500);
  }
}

/** Files below folders of the sandbox, relative to it. */
async function filesIn(...folders: readonly string[]): Promise<string[]> {
  const found = folders.map(async (folder) => {
    const entries = await readdir(sandbox.path(folder), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(sandbox.folder, join(entry.parentPath ?? entry.path, entry.name)));
  });
  return (await Promise.all(found)).flat();
}

flow('a fresh clone has no cluster, and asking changes nothing', async () => {
  sandbox = await makeSandbox();
  const { exitCode, stdout } = await sandbox.task('status', '--json');
  assert.is(exitCode, 0);
  assert.is((JSON.parse(stdout) as Status).cluster.state, 'absent');
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'));
});

flow('create-environment makes all of it and chooses the embedded cluster', async () => {
  const { exitCode, stderr } = await sandbox.task('create-environment');
  assert.is(exitCode, 0, stderr);
  const { provider, cluster, releases, vault, database } = await status();
  assert.is(provider, 'embedded');
  assert.is(cluster.state, 'running');
  assert.is(cluster.kubernetesVersion, 'v1.31.0');
  assert.equal(
    cluster.nodes.map(({ ready }) => ready),
    [true, true, true],
  );
  assert.equal(
    releases.map(({ name, status }) => `${name} ${status}`),
    ['devops', 'metrics-server', 'vault', 'vault-operator', 'reloader', 'postgresql'].map(
      (name) => `${name} deployed`,
    ),
  );
  assert.equal(vault, { initialized: true, sealed: false, configured: true });
  assert.equal(database, { reachable: true });
});

flow('install-tier apps installs both applications, with secrets from Vault and from SOPS', async () => {
  const { exitCode, stderr } = await sandbox.task('install-tier', 'apps');
  assert.is(exitCode, 0, stderr);
  for (const name of ['app1-back-database', 'app2-back-database']) {
    const secret = await secretOf(sandbox, 'backend', name);
    assert.equal(Object.keys(secret).sort(), ['DB_HOST', 'DB_NAME', 'DB_PASSWORD', 'DB_PORT', 'DB_USER']);
    assert.is(await login(secret), undefined);
    assert.match((await login(secret, 'wrong')) ?? '', /password authentication failed/);
  }
  const owner = await sandbox.shell(
    'kubectl -n backend get secret app1-back-database -o jsonpath={.metadata.ownerReferences[0].kind}',
  );
  assert.is(owner.stdout, 'VaultDynamicSecret');
  assert.match(
    (await secretOf(sandbox, 'backend', 'app1-back-database')).DB_USER ?? '',
    /^v-kubernet-app1-bac-/,
  );
});

flow('each route has its ranges, and a certificate that the environment’s authority signed', async () => {
  const ranges = await sandbox.shell(
    'kubectl -n frontend get middleware app1-front-internal -o jsonpath={.spec.ipAllowList.sourceRange}',
  );
  assert.equal(JSON.parse(ranges.stdout), ['10.244.0.0/16']);
  const { 'tls.crt': certificate = '', 'tls.key': key = '' } = await secretOf(
    sandbox,
    'frontend',
    'app1-front-tls',
  );
  const authority = await readText(sandbox.path('.state/development/certificates/ca.crt'));
  const server = new X509Certificate(certificate);
  assert.ok(server.verify(new X509Certificate(authority).publicKey));
  assert.ok(server.checkPrivateKey(createPrivateKey(key)));
  assert.is(
    server.checkHost('app1-front.development.k8s-deployment.test'),
    'app1-front.development.k8s-deployment.test',
  );
  const values = await sandbox.shell('helm -n frontend get values app1-front --all');
  assert.not.match(values.stdout, 'PRIVATE KEY');
});

flow('the variables of env serve kubectl, helm, helmfile, sops and vault by hand', async () => {
  const values =
    '--state-values-file environments/common.yaml --state-values-file environments/embedded.yaml';
  const { exitCode, stdout, stderr } = await sandbox.shell(`
    kubectl get nodes -o name | wc -l
    helm -n core list -q --filter devops
    helmfile --skip-deps ${values} --state-values-set environment=development list --output json | cut -c1-2
    sops decrypt --extract '["password"]' environments/development/secrets/database.yaml | wc -c
    vault kv get -mount=kv -field=DB_PORT app1/database`);
  assert.is(exitCode, 0, stderr);
  const [nodes, release, list, password, port] = stdout.trim().split('\n');
  assert.is(nodes?.trim(), '3');
  assert.is(release, 'devops');
  assert.is(list, '[{');
  assert.ok(Number(password) > 10);
  assert.is(port, '5432');
});

flow(
  'what was changed in Vault by hand is brought back by init-vault, and every request is in the audit log',
  async () => {
    const patched = await sandbox.shell('vault kv patch -mount=kv app1/database DB_HOST=somewhere >&2');
    assert.is(patched.exitCode, 0, patched.stderr);
    const { exitCode, stderr } = await sandbox.task('init-vault');
    assert.is(exitCode, 0, stderr);
    assert.match(stderr, /changed {3}secret kv\/app1\/database \(DB_HOST\)/);
    const log = await readFile(sandbox.path('.state/development/logs/vault-audit.log'), 'utf8');
    assert.match(log, /"path":"kv\/data\/app1\/database"/);
    assert.not.ok(log.includes('somewhere'));
  },
);

flow(
  'the operator prolongs a lease, and before its longest time is over it gives app1 another login and restarts it',
  async () => {
    const giveBack = await change(
      'vault/state.yaml',
      'ttl: 1h\n    maxTtl: 24h',
      'ttl: 10s\n    maxTtl: 30s',
    );
    const asked = await sandbox.task('init-vault');
    assert.match(asked.stderr, /changed {3}database role database\/roles\/app1-back/);
    // A changed specification makes the operator ask for a login at once, the first one with these times.
    const renewAt = (percent: number) =>
      sandbox.shell(
        `kubectl -n backend patch vaultdynamicsecret app1-back-database --type merge -p '{"spec":{"renewalPercent":${percent}}}' >&2`,
      );
    const before = await app1Secret();
    assert.is((await renewAt(50)).exitCode, 0);
    await until(async () => (await app1Secret()).DB_USER !== before.DB_USER, 'a login with short times');

    const status = async () => {
      const { secretLease, lastRenewalTime } = JSON.parse(
        await fieldOf('vaultdynamicsecret/app1-back-database', '.status'),
      );
      return { lease: secretLease.id as string, renewed: lastRenewalTime as number };
    };
    let first = await status();
    await until(async () => {
      const now = await status();
      if (now.lease === first.lease) return now.renewed > first.renewed;
      first = now;
      return false;
    }, 'a lease is prolonged');
    const short = await app1Secret();
    const generation = await generationOf('app1-back');
    assert.is(await login(short), undefined);
    await until(async () => (await app1Secret()).DB_USER !== short.DB_USER, 'another login');
    await until(async () => (await generationOf('app1-back')) > generation, 'app1 is restarted');
    await until(async () => (await login(short)) !== undefined, 'the old login is gone');
    assert.match((await login(short)) ?? '', /authentication failed/);

    await giveBack();
    assert.is((await sandbox.task('init-vault')).exitCode, 0);
    const last = await app1Secret();
    assert.is((await renewAt(67)).exitCode, 0);
    await until(async () => (await app1Secret()).DB_USER !== last.DB_USER, 'a login with the usual times');
    assert.is(await login(await app1Secret()), undefined);
    assert.is((await sandbox.task('test-app', 'app1')).exitCode, 0);
  },
);

flow('a second create-environment changes nothing and says so', async () => {
  const before = await revisions();
  const { exitCode, stderr } = await sandbox.task('create-environment');
  assert.is(exitCode, 0, stderr);
  assert.match(stderr, /nothing changed/);
  assert.is(await revisions(), before);
});

flow('stop-k8s and start-k8s bring everything back', async () => {
  assert.is((await sandbox.task('stop-k8s')).exitCode, 0);
  assert.is((await status()).cluster.state, 'stopped');
  assert.equal(await processesOf(sandbox.folder), []);
  const refused = await sandbox.task('install-app', 'app1');
  assert.is(refused.exitCode, 1);
  assert.match(refused.stderr, /is stopped\n {2}why: .*\n {2}do: run `.* start-k8s`/);
  const { exitCode, stderr } = await sandbox.task('start-k8s');
  assert.is(exitCode, 0, stderr);
  const { cluster, vault, database } = await status();
  assert.is(cluster.state, 'running');
  assert.equal(vault, { initialized: true, sealed: false, configured: true });
  assert.equal(database, { reachable: true });
});

flow('a check that fails rolls the release back and names itself', async () => {
  const secret = await secretOf(sandbox, 'backend', 'app2-back-database');
  const { DB_USER = '', DB_PASSWORD = '' } = secret;
  assert.is(
    await login(secret, DB_PASSWORD, `ALTER ROLE ${DB_USER} PASSWORD 'changed-behind-its-back'`),
    undefined,
  );
  const giveBack = await change(settingsFile, 'minReplicas: 3', 'minReplicas: 4');
  const said = /FAILED database login: password authentication failed for user "app2"/;

  const refused = await sandbox.task('install-app', 'app2');
  assert.is(refused.exitCode, 1);
  assert.match(refused.stderr, said);
  assert.not.ok(refused.stderr.includes(DB_PASSWORD));
  const history = await sandbox.shell('helm -n backend history app2-back -o json');
  assert.match(JSON.parse(history.stdout).at(-1).description, /^Rollback to \d+$/);
  const tested = await sandbox.task('test-app', 'app2');
  assert.is(tested.exitCode, 1);
  assert.match(tested.stderr, said);

  assert.is(
    await login(secret, 'changed-behind-its-back', `ALTER ROLE ${DB_USER} PASSWORD '${DB_PASSWORD}'`),
    undefined,
  );
  // Without metrics the autoscaler only looks every 15 s.
  const deadline = Date.now() + 60_000;
  const replicas = () =>
    sandbox.shell('kubectl -n backend get deployment app2-back -o jsonpath={.spec.replicas}');
  while ((await replicas()).stdout !== '3') {
    assert.ok(Date.now() < deadline, 'the old number of replicas is back');
    await delay(1000);
  }
  const checked = await sandbox.task('test-app', 'app2');
  assert.is(checked.exitCode, 0, checked.stderr);
  assert.match(checked.stderr, /ok database login.*run as a process of this machine/);
  const installed = await sandbox.task('install-app', 'app2');
  assert.is(installed.exitCode, 0, installed.stderr);
  await giveBack();
});

flow(
  'rotate-database-password gives every role another password, and restarts who has the old one',
  async () => {
    const file = sandbox.path('environments/development/secrets/database.yaml');
    const passwords = async () =>
      (await sandbox.shell(`sops decrypt ${file}`)).stdout.trim().split('\n').sort();
    const before = { file: await passwords(), secret: await app2Secret() };
    const generation = await generationOf('app2-back');
    const unasked = await sandbox.task('rotate-database-password');
    assert.is(unasked.exitCode, 2);
    assert.match(unasked.stderr, /--yes/);

    const { exitCode, stdout, stderr } = await sandbox.task('rotate-database-password', '--yes');
    assert.is(exitCode, 0, stderr);
    assert.match(stderr, /changed in the server: postgres, app2, vault/);
    assert.match(stderr, /changed {3}database connection database\/config\/postgresql \(password\)/);
    assert.match(stderr, /app2-back-verification.*ok database login/);
    const after = { file: await passwords(), secret: await app2Secret() };
    assert.is(after.file.length, 3);
    for (const line of before.file) assert.not.ok(after.file.includes(line));
    for (const line of [...before.file, ...after.file])
      assert.not.ok((stdout + stderr).includes(line.split(': ')[1] ?? ''));
    assert.is(await login(after.secret), undefined);
    assert.match((await login(before.secret)) ?? '', /password authentication failed/);
    assert.ok((await generationOf('app2-back')) > generation);
    assert.not.ok((await readdir(sandbox.path('.state/development'))).includes('database-rotation.json'));
  },
);

flow(
  'a rotation that failed half-way is completed by the next one, with the passwords that it chose',
  async () => {
    const before = await app2Secret();
    const giveBack = await change(
      settingsFile,
      'releases:\n',
      'releases:\n  postgresql: { user: "Not SQL" }\n',
    );
    const failed = await sandbox.task('rotate-database-password', 'app2', '--yes');
    assert.is(failed.exitCode, 1);
    assert.match(
      failed.stderr,
      /the rotation is not finished: .*\n {2}why: [\s\S]*run `.* rotate-database-password` again/,
    );
    const state = sandbox.path('.state/development/database-rotation.json');
    assert.is((await stat(state)).mode & 0o777, 0o600);
    const chosen = JSON.parse(await readFile(state, 'utf8'));
    assert.equal(Object.keys(chosen), ['app2']);
    assert.match((await sandbox.task('status')).stdout, /the rotation of app2 is not finished/);
    await giveBack();
    const { exitCode, stderr } = await sandbox.task('rotate-database-password', 'app2', '--yes');
    assert.is(exitCode, 0, stderr);
    const after = await app2Secret();
    assert.is(after.DB_PASSWORD, chosen.app2.new);
    assert.not.equal(after.DB_PASSWORD, before.DB_PASSWORD);
    assert.is(await login(after), undefined);
  },
);

flow(
  'an encrypted file that the server has come apart from is seen, changes nothing, and is mended by a rotation',
  async () => {
    const file = sandbox.path('environments/development/secrets/database.yaml');
    const before = await readFile(file, 'utf8');
    const ofApp2 = await sandbox.shell(
      `echo '"by-hand-in-the-file"' | sops set --value-stdin ${file} '["app2Password"]'`,
    );
    assert.is(ofApp2.exitCode, 0, ofApp2.stderr);
    const told = async () => (await sandbox.task('status')).stdout;
    assert.match(await told(), /reachable; refuses the password of the encrypted file for app2: /);
    await writeFile(file, before.replace(/^app2Password: /m, 'app2Password: *'));
    assert.match(await told(), /reachable; its passwords cannot be checked: .*database\.yaml is damaged/);
    await writeFile(file, before);
    const changed = await sandbox.shell(
      `echo '"by-hand-in-the-file"' | sops set --value-stdin environments/development/secrets/database.yaml '["password"]'`,
    );
    assert.is(changed.exitCode, 0, changed.stderr);
    assert.match(
      (await sandbox.task('status')).stdout,
      /reachable; refuses the password of the encrypted file/,
    );
    const refused = await sandbox.task('install-app', 'postgresql');
    assert.is(refused.exitCode, 1);
    assert.match(refused.stderr, /FAILED database roles: password authentication failed for user "postgres"/);
    assert.match(refused.stderr, /what was deployed before is back/);
    const { exitCode, stdout, stderr } = await sandbox.task('rotate-database-password', 'superuser', '--yes');
    assert.is(exitCode, 0, stderr);
    assert.match(stdout, 'commit: environments/development/secrets/database.yaml\n');
    await until(
      async () => /database {5}reachable\n/.test((await sandbox.task('status')).stdout),
      'the database is well',
    );
    // Refused before anything is asked.
    const usage = await sandbox.task('rotate-database-password', 'app1');
    assert.is(usage.exitCode, 2);
    assert.match(usage.stderr, /`app1` is no role with a password of its own/);
  },
);
flow('no secret shows in events, logs, reports or what was seen of a failure', async () => {
  const { DB_PASSWORD = '' } = await secretOf(sandbox, 'backend', 'app2-back-database');
  const keys = JSON.parse(await readFile(sandbox.path('.state/development/vault/keys.json'), 'utf8'));
  const secrets = [DB_PASSWORD, ...leavesOf(keys).map(({ value }) => String(value))].filter(
    (value) => value.length >= shortestSecret,
  );
  assert.ok(secrets.length >= 3);
  const forms = secrets.flatMap(secretForms);
  const showing = (text: string): boolean => forms.some((form) => text.includes(form.text));

  const reports = ['--report', sandbox.path('run.html'), '--trace', sandbox.path('run.json')];
  const words = ['install-app', 'app2', '--verbose', '--output', 'json', ...reports, '--', '--debug'];
  const { exitCode, stdout, stderr } = await sandbox.task(...words);
  assert.is(exitCode, 0, stderr);
  const texts = new Map([
    ['output', stdout + stderr],
    ['events', (await sandbox.shell('kubectl get events --all-namespaces --output yaml')).stdout],
  ]);
  const folders = ['.state/development/logs', '.state/development/diagnostics', '.tasks'];
  for (const file of ['run.html', 'run.json', ...(await filesIn(...folders))])
    texts.set(file, await readFile(sandbox.path(file), 'utf8'));
  // the failure above has left something to look at
  for (const folder of folders)
    assert.ok(
      [...texts.keys()].some((name) => name.startsWith(folder)),
      folder,
    );
  for (const [name, text] of texts) {
    assert.ok(text.length > 0, name);
    assert.not.ok(showing(text), name);
  }
  // helm keeps values and manifests of each revision; those of two releases have the password
  const releases = (await sandbox.shell('helm list --all-namespaces --output json')).stdout;
  const holders: string[] = [];
  for (const { name, namespace } of JSON.parse(releases) as { name: string; namespace: string }[]) {
    const kept = await sandbox.shell(`helm --namespace ${namespace} get all ${name}`);
    if (showing(kept.stdout)) holders.push(name);
  }
  assert.equal(holders.sort(), ['devops', 'postgresql']);
});

flow('certificates that were lost are made anew, and everything takes them', async () => {
  const server = await readText(sandbox.path('.state/development/services/postgresql.json'));
  await rm(sandbox.path('.state/development/certificates'), { recursive: true });
  const { exitCode, stderr } = await sandbox.task('install-tier', 'apps');
  assert.is(exitCode, 0, stderr);
  assert.is(await login(await app2Secret()), undefined);
  // As a run leaves it that is killed before it tells the server of the new certificate.
  const record = sandbox.path('.state/development/postgresql/server.json');
  await writeFile(record, JSON.stringify({ ...JSON.parse(await readText(record)), certificate: 'older' }));
  const told = await sandbox.task('create-k8s');
  assert.is(told.exitCode, 0, told.stderr);
  assert.not.match(await readText(record), /older/);
  assert.is(
    await readText(sandbox.path('.state/development/services/postgresql.json')),
    server,
    'PostgreSQL was not started anew',
  );
  for (const task of ['init-vault', 'test']) {
    const ended = await sandbox.task(task);
    assert.is(ended.exitCode, 0, ended.stderr);
  }
});

flow('what the embedded cluster cannot do says so', async () => {
  const { exitCode, stderr } = await sandbox.task('test-ingress', 'app1');
  assert.is(exitCode, 1);
  assert.match(stderr, /no ingress to test.*\n {2}why: .*simulated.*\n {2}do: use --provider minikube/);
});

flow('destroy-environment leaves nothing, and a second one is no error', async () => {
  const { exitCode, stderr } = await sandbox.task('destroy-environment', '--yes');
  assert.is(exitCode, 0, stderr);
  assert.equal(await processesOf(sandbox.folder), []);
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'));
  assert.is((await sandbox.task('destroy-environment', '--yes')).exitCode, 0);
  const touched = (await readdir(sandbox.home)).filter((name) =>
    ['.kube', '.gnupg', '.kwok', '.config', '.vault-token'].includes(name),
  );
  assert.equal(touched, []);
});

flow.after(() => sandbox.remove('development'));

flow.run();
