import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { killAt, moments } from './kills.ts';
import { type Clone, docker, environment, makeClone, only, remainsOf } from './machine.ts';

/*
 * End to end on a real minikube: `npm run test:minikube [-- --env NAME] [--only WORDS]`, as an ordinary user who may
 * use Docker. It needs what a user of the provider needs: Docker, and minikube on PATH or a way to get it.
 */

const test = suite('minikube');
const clone = await makeClone('kd-minikube-');

function timed(name: string, run: () => Promise<void>): void {
  if (!name.includes(only)) return;
  test(name, async () => {
    const started = performance.now();
    await run();
    process.stdout.write(`\n  ${name}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
  });
}

async function threeNodesRun(): Promise<void> {
  const { cluster } = await clone.status();
  assert.equal([cluster.state, cluster.nodes.map(({ ready }) => ready)], ['running', [true, true, true]]);
}

/** Asserts that everything works: three nodes, Vault open, both applications' checks. */
async function everythingWorks(): Promise<void> {
  await threeNodesRun();
  const { vault, database } = await clone.status();
  assert.equal([vault?.sealed, vault?.configured, database?.reachable], [false, true, true]);
  await clone.succeeds('test');
}

timed('create-environment and install-tier apps create everything', async () => {
  await clone.succeeds('create-environment');
  await clone.succeeds('install-tier', 'apps');
  await everythingWorks();
});

timed('the applications answer through the ingress, at the addresses that `services` prints', async () => {
  for (const app of ['app1', 'app2']) await clone.succeeds('test-ingress', app);
  type Address = { readonly name: string; readonly address: string; readonly note?: string };
  const addresses = JSON.parse((await clone.succeeds('services', '--json')).stdout) as readonly Address[];
  assert.is(addresses.length, 6);
  for (const { address, note } of addresses)
    assert.match(note ?? '', `:${new URL(address).port}; without DNS`, address);
});

timed('create-environment again changes nothing', async () => {
  assert.match((await clone.succeeds('create-environment')).stderr, /nothing changed/);
});

timed('after stop-k8s and start-k8s everything works', async () => {
  await clone.succeeds('stop-k8s');
  assert.is((await clone.status()).cluster.state, 'stopped');
  await clone.succeeds('start-k8s');
  await everythingWorks();
});

timed('a stopped environment is started by create-environment', async () => {
  await clone.succeeds('stop-k8s');
  await clone.succeeds('create-environment');
  await everythingWorks();
});

timed('a dead worker is reported and restored by start-k8s', async () => {
  await docker('kill', `${clone.profile}-m03`);
  assert.is((await clone.status()).cluster.state, 'degraded');
  await clone.succeeds('start-k8s');
  await everythingWorks();
});

timed('start-k8s restores everything after a restart of the machine', async () => {
  // Like a power cut of the nodes.
  await docker('kill', clone.profile, `${clone.profile}-m02`, `${clone.profile}-m03`);
  assert.is((await clone.status()).cluster.state, 'stopped');
  await clone.succeeds('start-k8s');
  await everythingWorks();
});

timed('a second clone creates its own cluster at the same time', async () => {
  const other = await makeClone('kd-minikube-other-');
  try {
    await writeFile(other.path('environments', environment, 'zz-small.yaml'), 'cluster: { nodes: 1 }\n');
    await Promise.all([other.succeeds('create-k8s'), everythingWorks()]);
    await other.succeeds('destroy-environment', '--yes');
    assert.equal(await remainsOf(other), []);
    assert.is((await clone.status()).cluster.state, 'running');
  } finally {
    await other.remove(environment);
  }
});

timed('a cluster that lost its data is recreated by create-environment', async () => {
  await docker('rm', '--force', '--volumes', clone.profile);
  await docker('volume', 'rm', clone.profile);
  assert.is((await clone.status()).cluster.state, 'degraded');
  const refused = await clone.task('start-k8s');
  assert.is(refused.exitCode, 1);
  assert.match(refused.stderr, /create-environment` recreates the cluster/);
  await clone.succeeds('create-environment');
  const { cluster, vault } = await clone.status();
  assert.equal([cluster.state, vault?.configured], ['running', true]);
});

const destroyLeavesNothing = async (made: Clone): Promise<void> => {
  await made.succeeds('destroy-environment', '--yes');
  assert.equal(await remainsOf(made), []);
  assert.not.ok(existsSync(made.path('.state', environment)));
  const profiles = `${made.env.MINIKUBE_HOME}/profiles/${made.profile}`;
  assert.not.ok(existsSync(profiles), profiles);
};

timed('destroy-environment leaves nothing', () => destroyLeavesNothing(clone));

for (const moment of moments) {
  timed(`create-k8s continues after a kill -9 when ${moment.name}`, async () => {
    await killAt(moment, clone);
    await clone.succeeds('create-k8s');
    await threeNodesRun();
    await destroyLeavesNothing(clone);
  });
}

test.after(() => clone.remove(environment));

test.run();
