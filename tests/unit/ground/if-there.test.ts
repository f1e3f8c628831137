import { writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entriesBelow, ifThere, textIfThere } from '../../../lib/ground/if-there.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const folder = temporaryFolder();
const [file, gone] = [join(folder, 'file'), join(folder, 'gone')];

test('only what does not exist is absent: not what cannot be read, nor what vanishes below it', async () => {
  writeFileSync(file, 'text');
  assert.is(await textIfThere(file), 'text');
  assert.is(await textIfThere(gone), undefined);
  assert.is(await entriesBelow(gone), undefined);
  for (const read of [() => ifThere<unknown>(readFile(folder)), () => ifThere<unknown>(readdir(file))]) {
    const error = await failureOf(read());
    assert.instance(error, TaskError);
    assert.match(error.what, /^cannot read /);
  }
  // As for a folder that is removed while its parent is listed.
  const { what, why } = await failureOf(ifThere(readdir(gone), folder));
  assert.is(what, `cannot read ${gone}`);
  assert.match(why, 'ENOENT');
});

test.run();
