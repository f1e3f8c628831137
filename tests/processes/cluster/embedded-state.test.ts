import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/embedded/state.ts');
  cluster: typeof import('../../../lib/cluster/cluster.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('embedded-state');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('cluster/embedded/state.ts');
  state.cluster = await state.clone.lib('cluster/cluster.ts');
  state.environment = await state.clone.environment('embedded');
  state.context = await state.clone.context('embedded');
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('names and ports are chosen once and stay', async ({ lib, environment }) => {
  const made = await lib.ensureState(environment, 'v1.31.0');
  assert.is(made.phase, 'creating');
  assert.equal(await lib.ensureState(environment, 'v1.32.0'), made);
  assert.equal(await lib.expectedPorts(environment), made.ports);
  assert.is(new Set(Object.values(made.ports)).size, lib.portNames.length);
});

test('helmfile and Vault get the addresses of the real servers, also in an older environment', async ({
  lib,
  environment,
}) => {
  await lib.ensureState(environment, 'v1.31.0');
  const vault = (await lib.expectedServers(environment)).settings;
  const file = join(environment.state, 'cluster.yaml');
  const { parse } = await import('yaml');
  assert.equal(parse(readFileSync(file, 'utf8')), { vault });
  writeFileSync(file, 'vault: {}');
  await lib.ensureState(environment, 'v1.31.0');
  assert.equal(parse(readFileSync(file, 'utf8')), { vault });
});

test('a damaged description of the cluster is an error, not a missing one', async ({ lib, environment }) => {
  await lib.ensureState(environment, 'v1.31.0');
  for (const text of ['{"phase":', '{"phase":"created"}', 'null']) {
    writeFileSync(join(environment.state, 'embedded.json'), text);
    const error = await failureOf(lib.readState(environment));
    assert.match(error.what, /^\.state\/development\/embedded\.json, .* is damaged$/, text);
    assert.match(error.advice ?? '', /destroy-environment/);
  }
});

test('a missing cluster comes with advice', async ({ lib, cluster, environment, context }) => {
  const none = await failureOf(lib.requireState(environment));
  assert.is(none.what, 'the cluster of environment `development` is not created');
  const required = await failureOf(cluster.requireCluster({ ...context, environment }));
  assert.is(required.what, none.what);
  assert.match(required.advice ?? '', /create-environment/);
});

test('a half created cluster comes with the advice to run again', async ({
  lib,
  cluster,
  environment,
  context,
}) => {
  await lib.ensureState(environment, 'v1.31.0');
  const error = await failureOf(cluster.requireCluster({ ...context, environment }));
  assert.is(error.what, 'the cluster of environment `development` is only half created');
  assert.is(error.advice, 'run `npx tsx tasks.ts create-environment` again');
});

test('a cluster without a living process is stopped', async ({ lib, cluster, environment, context }) => {
  const state = await lib.ensureState(environment, 'v1.31.0');
  await lib.writeState(environment, { ...state, phase: 'created' });
  const error = await failureOf(cluster.requireCluster({ ...context, environment }));
  assert.is(error.what, 'the cluster of environment `development` is stopped');
  assert.is(error.advice, 'run `npx tsx tasks.ts start-k8s`');
});

test('one living process of many is a degraded cluster', async ({
  lib,
  cluster,
  environment,
  context,
  clone,
}) => {
  const state = await lib.ensureState(environment, 'v1.31.0');
  await lib.writeState(environment, { ...state, phase: 'created' });
  type Services = typeof import('../../../lib/cluster/embedded/services.ts');
  const { recordService } = await clone.lib<Services>('cluster/embedded/services.ts');
  await recordService(environment.state, 'etcd', process.pid);
  const error = await failureOf(cluster.requireCluster({ ...context, environment }));
  assert.is(error.what, 'the cluster of environment `development` is degraded');
  assert.match(error.why ?? '', /kube-apiserver does not run/);
});

test('services of a lost state are stopped when a new one is created', async ({
  lib,
  environment,
  clone,
}) => {
  type Services = typeof import('../../../lib/cluster/embedded/services.ts');
  const { readServices, recordService } = await clone.lib<Services>('cluster/embedded/services.ts');
  // It lives until its input ends.
  const old = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    await once(old, 'spawn');
    await recordService(environment.state, 'job-runner', old.pid ?? 0);
    const ended = once(old, 'exit');
    const token = join(environment.state, 'vault/reviewer.jwt');
    mkdirSync(dirname(token));
    writeFileSync(token, 'of the old cluster');
    await lib.ensureState(environment, 'v1.31.0');
    assert.equal(await readServices(environment.state), []);
    assert.equal(await ended, [null, 'SIGTERM']);
    assert.throws(() => readFileSync(token), /ENOENT/);
  } finally {
    old.kill('SIGKILL');
  }
});

test('services of a known state keep running', async ({ lib, environment, clone }) => {
  await lib.ensureState(environment, 'v1.31.0');
  type Services = typeof import('../../../lib/cluster/embedded/services.ts');
  const { readServices, recordService } = await clone.lib<Services>('cluster/embedded/services.ts');
  await recordService(environment.state, 'job-runner', process.pid);
  await lib.ensureState(environment, 'v1.31.0');
  assert.is((await readServices(environment.state)).length, 1);
});

test('kwokctl never sees a pid file of an earlier life', async ({ lib, environment }) => {
  const pids = join(environment.state, 'kwok/clusters', environment.clusterName, 'pids');
  mkdirSync(pids, { recursive: true });
  writeFileSync(join(pids, 'etcd.pid'), String(process.pid));
  await lib.forgetPids(environment);
  assert.throws(() => readFileSync(join(pids, 'etcd.pid')), /ENOENT/);
});

test('Vault and PostgreSQL are reached without kubectl', async ({
  lib,
  cluster,
  clone,
  environment,
  context,
}) => {
  const { ports } = await lib.ensureState(environment, 'v1.31.0');
  const found = await cluster.withPostgresql({ ...context, environment }, async (connection) => connection);
  assert.equal(found, { host: '127.0.0.1', port: ports.postgresql });
  const { withVaultReplicas } =
    await clone.lib<typeof import('../../../lib/vault/replicas.ts')>('vault/replicas.ts');
  const vaults = await withVaultReplicas({ ...context, environment }, 0, async (connections) => connections);
  assert.equal(vaults, [{ name: 'vault', host: '127.0.0.1', port: ports.vault }]);
});

test('an interrupted run stops what it started, unless it has destroyed that itself', async ({
  clone,
  environment,
}) => {
  const processes = await clone.lib<typeof import('../../../lib/cluster/embedded/processes.ts')>(
    'cluster/embedded/processes.ts',
  );
  const { recordService } = await clone.lib<typeof import('../../../lib/cluster/embedded/services.ts')>(
    'cluster/embedded/services.ts',
  );
  for (const destroyed of [false, true]) {
    const context = await clone.context('embedded');
    const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    const ended = once(child, 'exit');
    const record = await recordService(environment.state, 'vault', child.pid ?? 0);
    assert.ok(record);
    processes.startedByThisRun(context, record);
    if (destroyed) await processes.stopEverything(environment);
    await context.end('interrupted');
    await ended;
    assert.equal(context.logged, destroyed ? [] : ['stopping the services that this run started: vault']);
  }
});

test.run();
