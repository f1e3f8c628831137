import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyProject } from '../../rig/project-copy.ts';

const clone = copyProject();
const { filesBelow } = (await import(
  join(clone.folder, 'lib/ground/file-digest.ts')
)) as typeof import('../../../lib/ground/file-digest.ts');

test.after(() => clone.remove());

test('files behind links count, as the programs read them too; links in a circle and into nowhere do not', async () => {
  const write = (path: string): void => {
    mkdirSync(join(clone.folder, path, '..'), { recursive: true });
    writeFileSync(join(clone.folder, path), '');
  };
  for (const path of ['mine/a.yaml', 'mine/a.yaml~', 'mine/deep/b.yaml', 'shared/chart/c.yaml']) write(path);
  for (const [path, target] of [
    ['mine/file.yaml', '../shared/chart/c.yaml'],
    ['mine/folder', '../shared/chart'],
    ['mine/deep/up', '..'],
    ['mine/gone', 'nowhere'],
    ['mine/loop', 'loop'],
    ['shared/chart/back', '../../mine'],
  ] as const)
    symlinkSync(target, join(clone.folder, path));
  assert.equal(await filesBelow('mine'), [
    'mine/a.yaml',
    'mine/deep/b.yaml',
    'mine/file.yaml',
    'mine/folder/c.yaml',
  ]);
  assert.equal(await filesBelow('nowhere'), []);
});

test.run();
