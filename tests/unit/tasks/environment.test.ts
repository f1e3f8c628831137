import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph } from '../../../lib/runner/graph.ts';
import { needsOf } from '../../../lib/runner/task.ts';
import { config, tasks } from '../../../tasks/all.ts';
import { restoreDatabase } from '../../../tasks/backup.ts';
import { rotateDatabasePassword } from '../../../tasks/database.ts';
import { verifyEnvironment } from '../../../tasks/environment.ts';
import { task } from '../../../tasks/environment-task.ts';
import { chartTools, installTools } from '../../../tasks/tools.ts';
import { fails, taskContext } from '../../rig/task-context.ts';

const inputOf = (provider: string, env = 'development') => ({
  ...{ args: {}, options: { env, provider, context: 'team' }, passThrough: [] },
});

const declared = task({
  name: 'sample',
  description: 'a sample',
  commands: ({ settings }) => [settings.domain],
  run: async ({ settings }) => (settings.production ? 'unchanged' : 'changed'),
});

test('a task is declared where the factory is called; the runner sees only what it declares', () => {
  assert.match(declared.place.file, /tasks\/environment\.test\.ts$/);
  assert.is(declared.place.line, 17);
  for (const name of ['after', 'check', 'needs', 'mutex', 'onCluster']) assert.not.ok(name in declared, name);
});

test('the outcome that a body returns is reported', async () => {
  const context = taskContext({ env: 'development', provider: 'embedded' });
  await declared.run?.(context);
  assert.equal(context.reported, ['changed']);
});

test('a task on a cluster is refused before its needs if there is none, unless the run creates it', async () => {
  const onCluster = task({ name: 'sample', description: 'a sample', commands: () => [], onCluster: true });
  const input = taskContext({ env: 'nowhere', provider: 'minikube' });
  const what = 'the cluster of environment `nowhere` is not created';
  await fails(async () => onCluster.check?.(input, ['sample']), { what });
  await onCluster.check?.(input, ['create-k8s', 'sample']);
});

test('tasks that change the project’s files, or all encrypted ones, wait for each other in all environments', () => {
  const names = tasks.filter(({ lock }) => lock === 'project').map(({ name }) => name);
  const changing =
    'make-secrets new-app new-environment remove-app rotate-database-password rotate-keys update';
  assert.equal(names.sort(), ['edit-secrets', ...changing.split(' ')]);
  const locks = ['development', 'lab'].map((env) => config.lock?.({ env }, 'project'));
  assert.match(locks[0] ?? '', /\.state\/\.project\.lock$/);
  assert.is(locks[0], locks[1]);
});

test('what will be removed is marked before anything is created, and is never an existing cluster', async () => {
  const call = { task: verifyEnvironment, ...inputOf('embedded') };
  const { nodes } = await buildGraph([call], call.options, 'run');
  const steps = nodes.map(({ label }) => label).filter((label) => !label.startsWith('install-tool '));
  assert.equal(steps.slice(0, 2), ['unused-environment', 'scratch-environment']);
  const input = { ...inputOf('existing'), args: { logs: undefined } };
  await fails(async () => verifyEnvironment.check?.(input, []), { exitCode: 2 });
});

test('install-tools installs tools that contain charts, even if the provider does not need them', async () => {
  const input = inputOf('existing', 'lab');
  assert.ok(needsOf(installTools, input).some(({ task }) => task === chartTools));
  assert.match((await chartTools.commands(input)).join('\n'), 'go -C lib/tools/go/vault-secrets-operator');
  assert.equal(await chartTools.commands(inputOf('existing')), []);
});

test('databases and roles of the environment are suggested', async () => {
  const suggested = async (task: (typeof tasks)[number], name: string) => {
    const words = task.args?.[name]?.suggestions;
    return typeof words === 'function' && (await words(inputOf('embedded').options));
  };
  assert.equal(await suggested(restoreDatabase, 'databases'), ['app1', 'app2']);
  assert.equal(await suggested(rotateDatabasePassword, 'role'), ['all', 'superuser', 'app2', 'vault']);
});

test.run();
