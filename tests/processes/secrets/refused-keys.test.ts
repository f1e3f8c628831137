import type { Options, TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loader } from '../../../lib/runner/tests/rig/ended.ts';
import { tasks } from '../../../tasks/all.ts';
import { callIn } from '../../rig/programs.ts';
import { copyProject, filesOf } from '../../rig/project-copy.ts';

const guarded =
  'embedded-database init-vault install-all install-app install-tier make-secrets render restore-database restore-vault rotate-database-password';

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
  assert.is(refusing.sort().join(' '), guarded);
});

test('a run whose task needs such a task is refused before it does anything', async () => {
  const clone = copyProject();
  const before = filesOf(clone);
  const words = ['create-environment', '--provider', 'existing', '--context', 'team'];
  // No tool is on the PATH.
  const place = { folder: clone.folder, env: { PATH: '', HOME: '/nonexistent', CI: '1' } };
  const started = callIn(place, process.execPath, ['--import', loader, 'tasks.ts', ...words]);
  const { exitCode, stdout, stderr } = await started;
  assert.equal([exitCode, stdout], [2, ''], stderr);
  assert.match(stderr, /^error: environments\/development\/secrets\/database\.yaml is encrypted for a/);
  assert.ok(stderr.split('\n').length <= 12);
  assert.equal(filesOf(clone), before);
});

test.run();
