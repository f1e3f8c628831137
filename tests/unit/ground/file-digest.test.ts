import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesBelow } from '../../../lib/ground/file-digest.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';

const folder = temporaryFolder();

test('files behind links count, because programs read them; circular and broken links do not', async () => {
  for (const path of ['mine/deep', 'shared/chart']) mkdirSync(join(folder, path), { recursive: true });
  for (const path of ['mine/a.yaml', 'mine/a.yaml~', 'mine/deep/b.yaml', 'shared/chart/c.yaml'])
    writeFileSync(join(folder, path), '');
  for (const [path, target] of Object.entries({
    ...{ 'mine/file.yaml': '../shared/chart/c.yaml', 'mine/folder': '../shared/chart', 'mine/deep/up': '..' },
    ...{ 'mine/gone': 'nowhere', 'mine/loop': 'loop', 'shared/chart/back': '../../mine' },
  }))
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
