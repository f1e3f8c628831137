import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesBelow } from '../../../lib/ground/file-digest.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-digest-'));

test.after(() => rmSync(folder, { recursive: true }));

test('files behind links count, because programs read them; circular and broken links do not', async () => {
  const write = (path: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), '');
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
    symlinkSync(target, join(folder, path));
  assert.equal(await filesBelow(folder, 'mine'), [
    'mine/a.yaml',
    'mine/deep/b.yaml',
    'mine/file.yaml',
    'mine/folder/c.yaml',
  ]);
  assert.equal(await filesBelow(folder, 'nowhere'), []);
});

test.run();
