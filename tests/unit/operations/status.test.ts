import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Status } from '../../../lib/operations/status.ts';
import { formatStatus } from '../../../lib/operations/status-text.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { taskContext } from '../../rig/task-context.ts';

// A folder without state: the keys of somebody's environment are in that of the project.
const project = copyOf('environments', 'helmfile.yaml');
test.after(project.remove);

const context = {
  ...taskContext({ env: 'development', provider: 'minikube' }, [], project.folder),
  $: answeringShell(() => ({ exitCode: 1, stderr: 'no cluster' })),
};

const absent: Status = {
  environment: 'development',
  provider: 'minikube',
  cluster: { state: 'absent', kubernetesVersion: null, nodes: [] },
  releases: [],
  notInstalled: [],
  vault: null,
  database: null,
  certificates: [],
  unreadyPods: [],
};

const lines = async (changes: Partial<Status>): Promise<string[]> =>
  (await formatStatus({ ...absent, ...changes }, context)).split('\n');

test('on a fresh clone it shows that nothing exists, and how to create it', async () => {
  assert.equal(await lines({}), [
    'environment  development (minikube)',
    'cluster      absent',
    'vault        -',
    'database     -',
    '',
    'create it with: npx tsx tasks.ts create-environment',
  ]);
});

test('a stopped or degraded cluster comes with the task that starts it', async () => {
  for (const [state, step] of [
    ['stopped', 'start it'],
    ['degraded', 'start what is missing'],
  ] as const) {
    const last = (await lines({ cluster: { ...absent.cluster, state } })).at(-1);
    assert.is(last, `${step} with: npx tsx tasks.ts start-k8s`);
  }
});

test('on a running cluster, a sealed Vault or a database that does not answer comes with start-k8s, too', async () => {
  const release = (name: string) => ({ name, namespace: name, status: 'deployed', revision: 1 });
  const running: Partial<Status> = {
    cluster: { ...absent.cluster, state: 'running' },
    releases: [release('vault'), release('postgresql')],
    vault: { initialized: true, sealed: false, configured: true },
    database: { reachable: true },
  };
  const advised = async (changes: Partial<Status>) =>
    (await lines({ ...running, ...changes })).at(-1)?.endsWith('with: npx tsx tasks.ts start-k8s');
  assert.is(await advised({}), false);
  assert.is(await advised({ vault: { initialized: true, sealed: true, configured: false } }), true);
  assert.is(await advised({ database: { reachable: false } }), true);
  const half = { vault: null, database: null };
  assert.is(await advised(half), true);
  assert.equal((await lines({ ...running, ...half })).slice(2, 4), [
    'vault        not reachable',
    'database     not reachable',
  ]);
  // Not deployed yet, or not initialised: there is nothing to start.
  assert.is(await advised({ ...half, releases: [] }), false);
  assert.is(await advised({ vault: { initialized: false, sealed: true, configured: false } }), false);
  assert.is(await advised({ ...half, provider: 'existing' }), false);
});

test('version and ready nodes stand beside the state', async () => {
  const nodes = [true, false].map((ready, index) => ({ name: `${index}`, ready }));
  const [, cluster] = await lines({ cluster: { state: 'creating', kubernetesVersion: 'v1.31.0', nodes } });
  assert.is(cluster, 'cluster      creating, Kubernetes v1.31.0, 1 of 2 nodes ready');
});

test('Vault’s and the database’s states in words', async () => {
  const vault = async (initialized: boolean, sealed: boolean, configured: boolean | null) =>
    (await lines({ vault: { initialized, sealed, configured } }))[2]?.slice(13);
  assert.is(await vault(false, true, false), 'not initialised: run `npx tsx tasks.ts create-environment`');
  assert.is(await vault(true, true, false), 'sealed');
  assert.is(await vault(true, false, false), 'unsealed, not configured: run `npx tsx tasks.ts init-vault`');
  assert.is(await vault(true, false, true), 'unsealed, configured');
  assert.is(await vault(true, false, null), 'unsealed; whether it is configured is not known');
  assert.is((await lines({ database: { reachable: true } }))[3], 'database     reachable');
  assert.is((await lines({ database: { reachable: false } }))[3], 'database     not reachable');
});

test('releases stand in columns', async () => {
  const releases = [
    { name: 'devops', namespace: 'core', status: 'deployed', revision: 1 },
    { name: 'app1-back', namespace: 'backend', status: 'failed', revision: 12 },
  ];
  const printed = (await lines({ releases })).filter((line) => line.startsWith('release'));
  assert.equal(printed, [
    'release      devops     core      deployed, revision 1',
    'release      app1-back  backend   failed, revision 12',
  ]);
});

test('simulated parts are marked', async () => {
  const embedded = await lines({ provider: 'embedded', cluster: { ...absent.cluster, state: 'creating' } });
  assert.ok(embedded.some((line) => line.startsWith('simulated    nodes, pods')));
  assert.not.ok((await lines({})).some((line) => line.startsWith('simulated')));
});

test.run();
