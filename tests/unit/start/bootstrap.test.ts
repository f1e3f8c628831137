import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { bootstrap } from '../../../lib/start/bootstrap.ts';

test('on Windows one line says WSL2', async () => {
  const write = process.stderr.write;
  let text = '';
  process.stderr.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await onPlatform('win32', {}, async () => assert.is(await bootstrap(['status']), 1));
  } finally {
    process.stderr.write = write;
  }
  assert.match(text, /^error: the tasks do not run on Windows itself$/m);
  assert.match(text, /^ {2}do: use WSL2/m);
});

test.run();
