import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { config, tasks } from '../../../tasks/all.ts';
import { task } from '../../../tasks/environment-task.ts';
import { failureOf, taskContext } from '../../rig/task-context.ts';

const declared = task({
  name: 'sample',
  description: 'a sample',
  commands: ({ settings }) => [settings.domain],
  run: async ({ settings }) => (settings.production ? 'unchanged' : 'changed'),
});

test('a task is declared where the factory is called', () => {
  assert.match(declared.file, /environment-task\.test\.ts$/);
  assert.is(declared.line, 7);
});

test('the runner sees only what a task declares', () => {
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
  const refused = Promise.resolve(onCluster.check?.(input, ['sample']));
  assert.is((await failureOf(refused)).what, 'the cluster of environment `nowhere` is not created');
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

test.run();
