/* As `environment.test.ts`, on a cluster of its own with both applications: their creation, changes and data. */
import { readdir } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applications } from './environment/applications.ts';
import { rendered } from './environment/rendered.ts';
import { restore } from './environment/restore.ts';
import { fieldOf, login, loginOf, runScenarios, sandbox, status, succeeds } from './environment/shared.ts';
import { openVault } from './sandbox.ts';

const create = suite('create');

create('create-environment detects the provider, creates everything, and says what comes next', async () => {
  assert.is((await status()).cluster.state, 'absent');
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'), 'reading the status changes nothing');
  const { stdout } = await succeeds('create-environment');
  const ready = /^environment `development` \(embedded\) is ready\n\nKubernetes API {2}https:.*\nVault .*\n/;
  assert.match(stdout, ready);
  assert.match(stdout, /\nPostgreSQL .*\n\n.* install-tier apps {2}/);
  const end = / stop-k8s +stop it and keep its data\n.* destroy-environment {2}remove it with its data\n$/;
  assert.match(stdout, end);
  // Vault's own programs create it, with a plugin's folder.
  assert.not.ok((await readdir(sandbox.home)).includes('.cache'));
});

create('install-tier apps installs both applications, with secrets from Vault and from SOPS', async () => {
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

create('status shows everything as well, and a second create-environment changes nothing', async () => {
  const { provider, cluster, releases, vault, database, certificates } = await status();
  assert.equal([provider, cluster.state, cluster.kubernetesVersion], ['embedded', 'running', 'v1.31.0']);
  const ready = cluster.nodes.map((node) => node.ready);
  assert.equal(ready, [true, true, true]);
  const core = ['devops', 'metrics-server', 'vault', 'vault-operator', 'reloader', 'postgresql'];
  const apps = ['app1-back', 'app1-front', 'app2-back', 'app2-front'];
  assert.equal(
    releases.map(({ name, status }) => `${name} ${status}`),
    [...core, ...apps].map((name) => `${name} deployed`),
  );
  assert.equal(vault, openVault);
  assert.equal(database, { reachable: true });
  const names = ['app1-front-tls', 'app2-front-tls', 'authority', 'postgresql-tls', 'vault-tls'];
  assert.equal(
    certificates.map(({ name, renewal }) => [name, renewal ?? 'valid']).sort(),
    names.map((name) => [name, 'valid']),
  );
  assert.match((await succeeds('create-environment')).stderr, /nothing changed/);
});

const removed = suite('removed');
sandbox.removeAfter(removed, 'development');

create.run();
runScenarios({ applications, rendered, restore });
removed.run();
