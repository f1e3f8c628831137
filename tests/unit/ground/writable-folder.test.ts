import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkWritable } from '../../../lib/ground/writable-folder.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { fails } from '../../rig/task-context.ts';

test('a file, and a folder that cannot be written to, are refused as output; nothing is created', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'file');
  writeFileSync(file, '');
  for (const path of [folder, join(folder, 'new'), join(folder, 'new/below')]) await checkWritable(path);
  const refused = async (path: string, why: string | RegExp) =>
    assert.instance(await fails(checkWritable(path), { why }), UsageError);
  for (const path of [file, join(file, 'below')]) await refused(path, `${file} is a file`);
  assert.equal(readdirSync(folder), ['file']);
  // A folder in which not even root creates anything.
  if (existsSync('/proc')) await refused('/proc/new', /^\/proc is not writable \(E/);
});

test.run();
