import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cloneKey } from '../../lib/settings/environment.ts';
import { eventOf, leftovers, makeSandbox, openVault, startRun } from './sandbox.ts';

/*
 * Runs that are stopped in the middle by Ctrl-C, SIGTERM and SIGKILL, and the plain rerun after each. In a clone whose
 * path is difficult, in a copied environment, for a user whose files are private. The tests build on each other.
 */

const stopped = suite('stopped runs');
const name = 'trial';
process.umask(0o077);
const sandbox = await makeSandbox(`kd 'a' "b" #1, ü ${'so long that no socket fits '.repeat(3)}`);
sandbox.removeAfter(stopped, name);
// That variables of programs are dropped: tests/unit/ground/variables.test.ts.
Object.assign(sandbox.env, { KUBECONFIG: '/nowhere', HELM_NAMESPACE: 'nowhere', ENVIRONMENT: name });
const environments = sandbox.path('environments');
await cp(join(environments, 'development'), join(environments, name), { recursive: true });

const create = ['create-environment'];

const assertNothingLeft = async (): Promise<void> => assert.equal(await leftovers(sandbox), []);

async function assertNothingAtAll(): Promise<void> {
  await assertNothingLeft();
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'));
  const key = cloneKey(name, sandbox.folder);
  assert.not((await readdir('/tmp')).some((file) => file.includes(key)));
}

stopped('destroy-environment after a SIGKILL in the middle of the start leaves nothing', async () => {
  const run = startRun(sandbox, create);
  await run.shows(eventOf('done', 'embedded-vault'));
  run.child.kill('SIGKILL');
  await run.exit;
  await sandbox.succeeds('destroy-environment', '--yes');
  await assertNothingAtAll();
});

stopped('Ctrl-C while the cluster starts ends with 130 and stops everything', async () => {
  const run = startRun(sandbox, create, true);
  await run.shows(eventOf('done', 'embedded-vault'));
  run.type('\x03');
  assert.is(await run.exit, 130, run.shown);
  assert.is((await sandbox.status()).cluster.state, 'creating');
  await assertNothingLeft();
});

stopped('after a SIGKILL during the installation a plain rerun continues', async () => {
  const run = startRun(sandbox, create);
  await run.shows('installing: devops');
  run.child.kill('SIGKILL');
  await run.exit;
  const { stderr } = await sandbox.succeeds('create-environment');
  assert.match(stderr, /ended \d+ process(es)? that the run of create-environment by pid \d+/);
  const temporary = await readdir(sandbox.path('.state', name, 'tmp'));
  assert.not.match(temporary.join(), 'run-', 'nothing of the killed run is left');
  const { cluster, releases, vault, database } = await sandbox.status();
  assert.equal([cluster.state, vault, database], ['running', openVault, { reachable: true }]);
  const installed = releases.map((release) => release.status);
  assert.equal(installed, Array(6).fill('deployed'));
});

stopped('a Vault whose keys a killed run never received is recreated', async () => {
  const keys = sandbox.path('.state', name, 'vault', 'keys.json');
  await rm(keys);
  await writeFile(`${keys}.pending`, ' '.repeat(4096));
  const { stderr } = await sandbox.succeeds('create-environment');
  assert.match(stderr, /initialised Vault without storing its keys/);
  assert.equal((await sandbox.status()).vault, openVault);
});

stopped('Ctrl-C during install-tier keeps the cluster, and a plain rerun continues', async () => {
  const before = await leftovers(sandbox);
  assert.ok(before.length >= 9, 'the services of the cluster are seen');
  const run = startRun(sandbox, ['install-tier', 'apps'], true);
  await run.shows('installing: app1-back');
  run.type('\x03');
  assert.is(await run.exit, 130, run.shown);
  assert.equal((await leftovers(sandbox)).sort(), before.sort());
  assert.is((await sandbox.status()).cluster.state, 'running');
  await sandbox.succeeds('install-tier', 'apps');
});

for (const [task, assertAfterwards] of [
  ['stop-k8s', async () => assert.is((await sandbox.status()).cluster.state, 'stopped')],
  ['destroy-environment', assertNothingAtAll],
] as const)
  stopped(`after SIGTERM during ${task} a plain rerun completes it`, async () => {
    const words = [task, ...(task === 'stop-k8s' ? [] : ['--yes'])];
    const run = startRun(sandbox, words);
    await run.shows(eventOf('started', task));
    run.child.kill('SIGTERM');
    assert.is(await run.exit, 143, run.shown);
    await sandbox.succeeds(...words);
    await assertAfterwards();
    await assertNothingLeft();
  });

stopped.run();
