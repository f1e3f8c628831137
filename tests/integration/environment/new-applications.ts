import { readFile } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { login } from './login.ts';
import { loginOf, refuses, sandbox, scenario, somebody, succeeds } from './shared.ts';

/* An application from new-app to remove-app, with each kind of secrets. */

const tests = scenario('new-applications');

const files = ['helmfile.yaml', 'environments/common.yaml', 'vault/state.yaml'];
const texts = () => Promise.all(files.map((file) => readFile(sandbox.path(file), 'utf8')));

tests('new applications are installed and checked as they are; an installed one is not removed', async () => {
  const before = await texts();
  await succeeds('new-app', 'fresh', '--secrets', 'vault');
  await succeeds('new-app', 'other', '--secrets', 'sops');
  const install = ['install-app', 'fresh', ',', 'install-app', 'other', ',', 'test-app', 'other'];
  const { stderr } = await succeeds('init-vault', ',', ...install);
  for (const app of ['fresh', 'other']) {
    assert.match(stderr, new RegExp(`${app}-back-verification.*ok database login`));
    assert.is(await login(await loginOf(app)), undefined);
  }
  const { DB_PASSWORD: old } = await loginOf('other');
  await succeeds('rotate-database-password', 'other', '--yes');
  const rotated = await loginOf('other');
  assert.is.not(rotated.DB_PASSWORD, old);
  assert.is(await login(rotated), undefined);
  await refuses(['remove-app', 'other', '--yes'], 1, /`other` is installed in environment `development`/);
  for (const app of ['fresh', 'other'])
    await succeeds('uninstall-app', app, '--yes', ',', 'remove-app', app, '--yes');
  assert.equal(await texts(), before);
  assert.match(
    (await succeeds('init-vault')).stderr,
    /application fresh-back \(no longer declared: removed\)/,
  );
  await succeeds('install-tier', 'core');
  assert.is(await somebody('kubectl -n backend get secret other-back-database --ignore-not-found'), '');
});

tests.runIfAsked();
