import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';

const test = suite<{ clone: ProjectCopy }>('folder-gone');

test.before((state) => {
  state.clone = copyProject();
  mkdirSync(join(state.clone.folder, '.state/staging'), { recursive: true });
});

test.after(({ clone }) => clone.remove());

/** What a task would do for `staging`, of which only `.state/staging` is there. */
const dryRun = (folder: string, task: string): Promise<{ code: number; stderr: string }> =>
  new Promise((resolve) => {
    const words = [task, '--dry-run', '--env=staging', '--provider=embedded'];
    execFile('./run', words, { cwd: folder }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stderr }),
    );
  });

test('tasks that show, stop and destroy an environment need no folder under environments/', async ({
  clone,
}) => {
  for (const task of ['status', 'stop-k8s', 'destroy-k8s', 'destroy-environment'])
    assert.equal(await dryRun(clone.folder, task), { code: 0, stderr: '' }, task);
});

test('every other task says what to do', async ({ clone }) => {
  const { code, stderr } = await dryRun(clone.folder, 'start-k8s');
  assert.is(code, 2);
  assert.match(stderr, /`.* destroy-environment --env staging` removes it/);
});

test.run();
