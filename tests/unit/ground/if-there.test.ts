import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entriesBelow, ifThere } from '../../../lib/ground/if-there.ts';
import { failureOf } from '../../rig/task-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'if-there-'));
const gone = join(folder, 'gone');

test.after(() => rmSync(folder, { recursive: true }));

test('only what is read itself counts as absent, not what vanishes below it', async () => {
  assert.is(await entriesBelow(gone), undefined);
  // As for a folder that is removed while its parent is listed.
  const { what, why } = await failureOf(ifThere(readdir(gone), folder));
  assert.is(what, `cannot read ${gone}`);
  assert.match(why ?? '', 'ENOENT');
});

test.run();
