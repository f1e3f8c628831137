import type { Options, TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tasks } from '../../../tasks/all.ts';

const guarded = [
  'install-all',
  'install-tier',
  'install-app',
  'init-vault',
  'make-secrets',
  'render',
  'restore-database',
  'restore-vault',
  'rotate-database-password',
];

const elsewhere: Options = { env: 'development', provider: 'existing', context: 'team' };

test('tasks that bring secrets to a cluster or into manifests check first; others do not', async () => {
  const refusing: string[] = [];
  for (const task of tasks) {
    if (['edit-secrets', 'rotate-keys'].includes(task.name)) continue;
    const asked = async () =>
      task.check?.({ args: { mode: 'create' }, options: elsewhere, passThrough: [] }, []);
    await asked().catch((error: TaskError) => {
      // Others refuse an existing cluster, or missing arguments.
      if (/for a development key/.test(error.what)) refusing.push(task.name);
    });
  }
  assert.equal(refusing.sort(), [...guarded].sort());
});

test.run();
