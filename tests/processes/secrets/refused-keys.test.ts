import { execFile } from 'node:child_process';
import type { Options, TaskError } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tasks } from '../../../tasks/all.ts';
import { copyProject, filesOf, type ProjectCopy } from '../../rig/project-copy.ts';

const test = suite('refused development keys');

const guarded = [
  'install-all',
  'install-tier',
  'install-app',
  'init-vault',
  'make-secrets',
  'rotate-database-password',
];

const elsewhere: Options = { env: 'development', provider: 'existing', context: 'team' };

test('tasks that bring secrets to a cluster check first; those that only read, or remove, do not', async () => {
  const refusing: string[] = [];
  for (const task of tasks) {
    if (['edit-secrets', 'rotate-keys'].includes(task.name)) continue;
    const asked = async () => task.check?.({ args: { mode: 'create' }, options: elsewhere, passThrough: [] });
    await asked().catch((error: TaskError) => {
      // Others refuse an existing cluster, or missing arguments.
      if (/for a development key/.test(error.what)) refusing.push(task.name);
    });
  }
  assert.equal(refusing.sort(), [...guarded].sort());
});

/** A run of the clone's own command line, without any tool. */
const run = (clone: ProjectCopy, ...words: readonly string[]) =>
  new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
    const args = ['--import', 'tsx', 'tasks.ts', ...words, '--provider', 'existing', '--context', 'team'];
    const env = { PATH: '', HOME: '/nonexistent', CI: '1' };
    execFile(process.execPath, args, { cwd: clone.folder, env }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });

test('a run is refused before it does anything; its dry run is not', async () => {
  const clone = copyProject();
  const before = filesOf(clone);
  const refused = await run(clone, 'create-environment');
  assert.is(refused.exitCode, 2);
  assert.match(
    refused.stderr,
    /^error: environments\/development\/secrets\/database\.yaml is encrypted for a/,
  );
  assert.is(refused.stdout, '');
  assert.ok(refused.stderr.split('\n').length <= 12);
  assert.equal(filesOf(clone), before);
  assert.is((await run(clone, 'create-environment', '--dry-run')).exitCode, 0);
  const allowed = await run(clone, 'install-app', 'app1', '--allow-development-keys');
  assert.not.match(allowed.stderr, 'development key');
  // no tool is installed
  assert.match(allowed.stderr, 'gpg');
  clone.remove();
});

test.run();
