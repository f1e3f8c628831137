import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { leavesOf } from '../../lib/sops/encrypted-file.ts';
import { secretForms, shortestSecret } from '../../lib/sops/secret-forms.ts';
import type { Status } from '../../lib/status.ts';
import { makeSandbox, processesOf, type Sandbox, secretOf } from './sandbox.ts';

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
    const ca = await readFile(sandbox.path('.state/development/certificates/ca.crt'), 'utf8');
    const ssl = { ca, servername: 'localhost' };
    const client = new Client({ host: '127.0.0.1', port, user, password, database, ssl });
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

/** Changes one line of the development settings, and gives it back with the returned function. */
async function changeSettings(from: string, to: string): Promise<() => Promise<void>> {
  const file = sandbox.path('environments/development/settings.yaml');
  const before = await readFile(file, 'utf8');
  assert.ok(before.includes(from), `settings.yaml holds \`${from}\``);
  await writeFile(file, before.replace(from, to));
  return () => writeFile(file, before);
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

flow('app1 is given another login of its database when the operator asks for one', async () => {
  const before = await secretOf(sandbox, 'backend', 'app1-back-database');
  // What the operator also does by itself, before the longest time of a lease is over.
  const renewAt = (percent: number) =>
    sandbox.shell(
      `kubectl -n backend patch vaultdynamicsecret app1-back-database --type merge -p '{"spec":{"renewalPercent":${percent}}}' >&2`,
    );
  const { exitCode, stderr } = await renewAt(66);
  assert.is(exitCode, 0, stderr);
  const deadline = Date.now() + 60_000;
  while ((await secretOf(sandbox, 'backend', 'app1-back-database')).DB_USER === before.DB_USER) {
    assert.ok(Date.now() < deadline, 'the Secret follows within a minute');
    await delay(500);
  }
  assert.is((await renewAt(67)).exitCode, 0);
  assert.is(await login(await secretOf(sandbox, 'backend', 'app1-back-database')), undefined);
});

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
  assert.match(refused.stderr, /is stopped\n {2}why: .*\n {2}do: run start-k8s/);
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
  const giveBack = await changeSettings('minReplicas: 3', 'minReplicas: 4');
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
