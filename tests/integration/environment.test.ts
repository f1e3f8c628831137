/*
 * The embedded cluster with a real API server, Vault, operator and PostgreSQL, and one application: what may happen to
 * it. It is created once for all scenarios; each leaves it healthy. To run one: `node --import tsx
 * tests/integration/environment.test.ts people`.
 */
import { readdir, rm } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readServices } from '../../lib/cluster/embedded/services.ts';
import { passwords } from './environment/passwords.ts';
import { people } from './environment/people.ts';
import { rights } from './environment/rights.ts';
import { runScenarios, sandbox, state, status, succeeds } from './environment/shared.ts';
import { trouble } from './environment/trouble.ts';
import { leftovers } from './sandbox.ts';

const installed = suite('installed');

installed('one command line creates the environment and installs an application', async () => {
  await succeeds('create-environment', ',', 'install-app', 'app2');
});

const destroy = suite('destroy');

/** Running servers may write files meanwhile. */
const removeState = () => rm(sandbox.path('.state'), { recursive: true, maxRetries: 10 });

destroy('create-k8s replaces running processes after the state folder was deleted', async () => {
  await removeState();
  assert.is((await status()).cluster.state, 'absent');
  await succeeds('create-k8s');
  assert.is((await readServices(state())).length, 9);
  assert.is((await leftovers(sandbox)).filter((line) => /bin\/(etcd|kube-apiserver)/.test(line)).length, 2);
});

destroy('destroy-environment finds them, too, and leaves nothing; a second run is no error', async () => {
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

sandbox.removeAfter(destroy, 'development');

installed.run();
runScenarios({ trouble, rights, people, passwords });
destroy.run();
