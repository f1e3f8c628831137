import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { destroyQuestion } from '../../../lib/operations/destroy.ts';
import type { Status } from '../../../lib/operations/status.ts';
import { formatStatus } from '../../../lib/operations/status-text.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { taskContext } from '../../rig/task-context.ts';

// A folder without state: the keys of somebody's environment are in that of the project.
const project = copyOf('environments', 'helmfile.yaml');

const context = {
  ...taskContext({ env: 'development', provider: 'minikube' }, [], project.folder),
  $: answeringShell(() => ({ exitCode: 1, stderr: 'no cluster' })),
};

const absent: Status = {
  ...{ environment: 'development', provider: 'minikube', vault: null, database: null },
  cluster: { state: 'absent', kubernetesVersion: null, nodes: [] },
  ...{ releases: [], notInstalled: [], certificates: [], unreadyPods: [] },
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

test('what is stopped, sealed or does not answer comes with the task that starts it', async () => {
  const last = async (changes: Partial<Status>) => (await lines(changes)).at(-1);
  const start = 'with: npx tsx tasks.ts start-k8s';
  assert.is(await last({ cluster: { ...absent.cluster, state: 'stopped' } }), `start it ${start}`);
  const degraded = { ...absent.cluster, state: 'degraded' } as const;
  assert.is(await last({ cluster: degraded }), `start what is missing ${start}`);
  const release = (name: string) => ({ name, namespace: name, status: 'deployed', revision: 1 });
  const running: Partial<Status> = {
    cluster: { ...absent.cluster, state: 'running' },
    releases: [release('vault'), release('postgresql')],
    vault: { initialized: true, sealed: false, configured: true },
    database: { reachable: true },
  };
  const none = { vault: null, database: null };
  for (const [changes, isAdvised] of [
    [{}, false],
    [{ vault: { initialized: true, sealed: true, configured: false } }, true],
    [{ database: { reachable: false } }, true],
    [none, true],
    // Not deployed yet, or not initialised: there is nothing to start.
    [{ ...none, releases: [] }, false],
    [{ vault: { initialized: false, sealed: true, configured: false } }, false],
    [{ ...none, provider: 'existing' }, false],
  ] as [Partial<Status>, boolean][])
    assert.is((await last({ ...running, ...changes }))?.endsWith(start), isAdvised, JSON.stringify(changes));
  const unreachable = ['vault        not reachable', 'database     not reachable'];
  assert.equal((await lines({ ...running, ...none })).slice(2, 4), unreachable);
  writeFileSync(join(project.folder, 'environments/development/own.yaml'), 'clustr: 1\n');
  const unknown = 'vault        not known, since the settings cannot be read';
  assert.is((await lines({ ...running, ...none }))[2], unknown);
  project.reset();
});

test('version and ready nodes stand beside the state', async () => {
  const nodes = [true, false].map((ready, index) => ({ name: `${index}`, ready }));
  const [, cluster] = await lines({ cluster: { state: 'creating', kubernetesVersion: 'v1.31.0', nodes } });
  assert.is(cluster, 'cluster      creating, Kubernetes v1.31.0, 1 of 2 nodes ready');
});

test('Vault’s and the database’s states in words', async () => {
  const create = 'run `npx tsx tasks.ts create-environment`';
  for (const [initialized, sealed, configured, words] of [
    [false, true, false, `not initialised: ${create}`],
    [true, true, false, 'sealed'],
    [true, false, false, 'unsealed, not configured: run `npx tsx tasks.ts init-vault`'],
    [true, false, true, 'unsealed, configured'],
    [true, false, null, 'unsealed; whether it is configured is not known'],
  ] as const)
    assert.is((await lines({ vault: { initialized, sealed, configured } }))[2], `vault        ${words}`);
  for (const reachable of [true, false])
    assert.is(
      (await lines({ database: { reachable } }))[3],
      `database     ${reachable ? '' : 'not '}reachable`,
    );
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

test('the name has to be typed in production, and where the settings cannot say that it is none', async () => {
  for (const [env, provider, word] of [
    ['production', 'existing', 'production'],
    ['lab', 'existing', undefined],
    ['development', 'embedded', undefined],
    ['removed', 'existing', 'removed'],
    ['removed', 'embedded', undefined],
  ] as const) {
    const asked = await destroyQuestion({ environment: environmentOf({ env, provider, context: 'team' }) });
    assert.is(typeof asked === 'object' ? asked.word : undefined, word, `${env} ${provider}`);
  }
});

test('nothing is asked where nothing was created and no cluster is named', async () => {
  const environment = environmentOf({ env: 'production', provider: 'existing' });
  assert.is(await destroyQuestion({ environment }), undefined);
});

test.run();
