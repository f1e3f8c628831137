import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TaskContext } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { removeRunFolders, runFolder } from '../../../lib/settings/run-folder.ts';

const state = temporaryFolder();

test('a run has one folder for temporary files, which is removed at its end', async () => {
  const cleanups: Parameters<TaskContext['onRunEnd']>[0][] = [];
  const first = await runFolder(state, (cleanup) => cleanups.push(cleanup));
  assert.is(await runFolder(state, (cleanup) => cleanups.push(cleanup)), first);
  assert.is(statSync(first).mode & 0o777, 0o700);
  assert.is(cleanups.length, 1);
  await cleanups[0]?.('done');
  assert.not(existsSync(first));
});

test('folders of killed runs are removed, also if another process has the pid now', async () => {
  await removeRunFolders(join(state, 'none'));
  const own = await runFolder(state);
  const kept = ['other', basename(own)];
  for (const name of [...kept, 'run-4194305-0a0a0a0a', `run-${process.pid}-0a0a0a0a`, `run-1-0a0a0a0a`])
    mkdirSync(join(own, '..', name, 'below'), { recursive: true });
  await removeRunFolders(state);
  assert.equal(readdirSync(join(own, '..')).sort(), kept.sort());
});

test.run();
