import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkWritable } from '../../../lib/ground/writable-folder.ts';

test('a file, and a folder that cannot be written to, are refused as output; nothing is created', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'writable-'));
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const whyNot = (path: string): Promise<string | undefined> =>
    checkWritable(path).then(
      () => undefined,
      (error) => {
        assert.instance(error, UsageError);
        return error.why;
      },
    );
  for (const path of [folder, join(folder, 'new'), join(folder, 'new/below')])
    assert.is(await whyNot(path), undefined);
  for (const path of [file, join(file, 'below')]) assert.is(await whyNot(path), `${file} is a file`);
  assert.equal(readdirSync(folder), ['file']);
  // A folder in which not even root creates anything.
  if (existsSync('/proc')) assert.match((await whyNot('/proc/new')) ?? '', /^\/proc is not writable \(E/);
  rmSync(folder, { recursive: true });
});

test.run();
