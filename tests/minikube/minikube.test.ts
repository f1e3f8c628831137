import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cloneKey } from '../../lib/settings/environment.ts';
import { makeSandbox, type Sandbox } from '../integration/sandbox.ts';

/*
 * End to end on a real minikube: `npm run test:minikube [-- --env NAME] [--only WORDS]`, as an ordinary user who may
 * use Docker. It needs what a user of the provider needs: Docker, and minikube on PATH or a way to get it.
 */

/** Environment of the suite, and the filter for test names; from the command line, by tests/run.ts. */
const environment = process.env.TEST_ENVIRONMENT || 'development';
const only = process.env.TEST_ONLY ?? '';

type Clone = Sandbox & {
  /** Name of the profile, of its network and of its first node. */
  readonly profile: string;
};

/** A clone of the project for minikube, with its own home but the user's minikube and caches. */
async function makeClone(prefix: string): Promise<Clone> {
  const sandbox = await makeSandbox(prefix);
  Object.assign(sandbox.env, {
    ENVIRONMENT: environment,
    CLUSTER_PROVIDER: 'minikube',
    MINIKUBE_HOME: process.env.MINIKUBE_HOME ?? join(homedir(), '.minikube'),
  });
  return { ...sandbox, profile: `${environment}-${cloneKey(environment, sandbox.folder)}` };
}

async function docker(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('docker', args)).stdout.trim();
}

/** Containers, volumes and networks whose name begins with the profile's, each as `kind name`. */
async function remainsOf({ profile }: Clone): Promise<string[]> {
  const namesOf = async (kind: string, format = '{{.Name}}', ...more: readonly string[]) =>
    (await docker(kind, 'ls', ...more, '--format', `${kind} ${format}`)).split('\n');
  const lists = [namesOf('container', '{{.Names}}', '--all'), namesOf('volume'), namesOf('network')];
  return (await Promise.all(lists)).flat().filter((line) => line.includes(` ${profile}`));
}

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
  other.removeAfter(test, environment);
  await writeFile(other.path('environments', environment, 'zz-small.yaml'), 'cluster: { nodes: 1 }\n');
  await Promise.all([other.succeeds('create-k8s'), everythingWorks()]);
  await other.succeeds('destroy-environment', '--yes');
  assert.equal(await remainsOf(other), []);
  assert.is((await clone.status()).cluster.state, 'running');
});

timed('a cluster that lost its data is recreated by create-environment', async () => {
  await docker('rm', '--force', '--volumes', clone.profile);
  await docker('volume', 'rm', clone.profile);
  assert.is((await clone.status()).cluster.state, 'degraded');
  const refused = await clone.task('start-k8s');
  assert.is(refused.exitCode, 1);
  assert.match(refused.stderr, /its data is lost: .* recreates the cluster/);
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

type Moment = { readonly name: string; readonly reached: () => Promise<boolean> };

/** True when Docker has this container or network. */
const has =
  (kind: string, suffix = '') =>
  async () =>
    (await remainsOf(clone)).includes(`${kind} ${clone.profile}${suffix}`);

/** True when Kubernetes runs in a node: its kubelet answers. */
const joined = (suffix: string) => () =>
  docker('exec', `${clone.profile}${suffix}`, 'curl', '-fsS', 'http://127.0.0.1:10248/healthz').then(
    (answer) => answer === 'ok',
    () => false,
  );

const written = (file: string) => async () => existsSync(clone.path('.state', environment, file));

const moments: readonly Moment[] = [
  { name: 'the environment is recorded', reached: written('environment.json') },
  { name: 'there is a network', reached: has('network') },
  { name: 'there is the first machine', reached: has('container') },
  { name: 'the first kubelet runs', reached: joined('') },
  { name: 'there is the second machine', reached: has('container', '-m02') },
  { name: 'the second kubelet runs', reached: joined('-m02') },
  { name: 'there is the third machine', reached: has('container', '-m03') },
  { name: 'all nodes are started', reached: written('minikube.progress') },
];

/** Starts `create-k8s` and kills the run, without its children, at this moment. Throws when it ends before. */
async function killAt(moment: Moment): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'tasks.ts', 'create-k8s'], {
    cwd: clone.folder,
    env: clone.env,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  while (!(await moment.reached())) {
    await pause(50);
    if (child.exitCode !== null) throw new Error(`create-k8s ended before ${moment.name}`);
  }
  child.kill('SIGKILL');
  await ended;
}

for (const moment of moments) {
  timed(`create-k8s continues after a kill -9 when ${moment.name}`, async () => {
    await killAt(moment);
    await clone.succeeds('create-k8s');
    await threeNodesRun();
    await destroyLeavesNothing(clone);
  });
}

clone.removeAfter(test, environment);

test.run();
