import { readdir } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { login } from './login.ts';
import { fieldOf, loginOf, refuses, sandbox, status, succeeds } from './shared.ts';

/* From a fresh clone to both applications. Runs before every scenario. */

const tests = suite('create');

tests('a fresh clone has no cluster, and reading its status changes nothing', async () => {
  assert.is((await status()).cluster.state, 'absent');
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'));
  await refuses(
    ['install-app', 'app1'],
    1,
    /cluster .* is not created\n {2}why: .*\n {2}do: run `.* create-environment`/,
  );
});

tests('create-environment creates everything and detects the embedded cluster', async () => {
  const { stdout } = await succeeds('create-environment');
  const ready =
    /^environment `development` \(embedded\) is ready\n\nKubernetes API {2}https:.*\nVault .*\nPostgreSQL .*\n\n.* install-tier apps {2}/;
  assert.match(stdout, ready);
  assert.match(
    stdout,
    / stop-k8s +stop it and keep its data\n.* destroy-environment {2}remove it with its data\n$/,
  );
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
  // Vault's own programs create it, with a plugin's folder.
  assert.not.ok((await readdir(sandbox.home)).includes('.cache'));
});

tests('install-tier apps installs both applications, with secrets from Vault and from SOPS', async () => {
  await succeeds('install-tier', 'apps');
  for (const app of ['app1', 'app2']) {
    const secret = await loginOf(app);
    assert.equal(Object.keys(secret).sort(), ['DB_HOST', 'DB_NAME', 'DB_PASSWORD', 'DB_PORT', 'DB_USER']);
    assert.is(await login(secret), undefined);
    assert.match((await login(secret, 'wrong')) ?? '', /password authentication failed/);
  }
  const owner = await fieldOf('secret/app1-back-database', '.metadata.ownerReferences[0].kind');
  assert.is(owner, 'VaultDynamicSecret');
  assert.match((await loginOf('app1')).DB_USER ?? '', /^v-kubernet-app1-bac-/);
});

tests('status shows when certificates expire, and none has to be renewed', async () => {
  const { certificates } = await status();
  assert.equal(certificates.map(({ name }) => name).sort(), [
    'app1-front-tls',
    'app2-front-tls',
    'authority',
    'postgresql-tls',
    'vault-tls',
  ]);
  assert.equal(
    certificates.flatMap(({ renewal }) => renewal ?? []),
    [],
  );
});

tests('a second create-environment changes nothing and says so', async () => {
  const revisions = async () => (await status()).releases.map(({ name, revision }) => `${name}:${revision}`);
  const before = await revisions();
  assert.match((await succeeds('create-environment')).stderr, /nothing changed/);
  assert.equal(await revisions(), before);
});

tests.run();
