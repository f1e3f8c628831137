/*
 * The embedded cluster with a real API server, Vault, operator and PostgreSQL, and one application: what may happen to
 * it. It is created once for all scenarios; each leaves it healthy. To run one: `node --import tsx
 * tests/integration/environment.test.ts people`.
 */
import './environment/installed.ts';
import './environment/trouble.ts';
import './environment/rights.ts';
import './environment/people.ts';
import './environment/passwords.ts';
import { readdir, rm } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readServices } from '../../lib/cluster/embedded/services.ts';
import { sandbox, state, status, succeeds } from './environment/shared.ts';
import { leftovers } from './sandbox.ts';

const tests = suite('destroy');

/** Running servers may write files meanwhile. */
const removeState = () => rm(sandbox.path('.state'), { recursive: true, maxRetries: 10 });

tests('create-k8s replaces running processes after the state folder was deleted', async () => {
  await removeState();
  assert.is((await status()).cluster.state, 'absent');
  await succeeds('create-k8s');
  assert.is((await readServices(state())).length, 9);
  assert.is((await leftovers(sandbox)).filter((line) => /bin\/(etcd|kube-apiserver)/.test(line)).length, 2);
});

tests('destroy-environment finds them, too, and leaves nothing; a second run is no error', async () => {
  await removeState();
  await succeeds('destroy-environment', '--yes');
  assert.equal(await leftovers(sandbox), []);
  await succeeds('destroy-environment', '--yes');
  assert.not.ok((await readdir(sandbox.folder)).includes('.state'));
  const touched = (await readdir(sandbox.home)).filter((name) =>
    ['.kube', '.gnupg', '.kwok', '.config', '.vault-token'].includes(name),
  );
  assert.equal(touched, []);
});

sandbox.removeAfter(tests, 'development');

tests.run();
