import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fewAtOnce } from '../../../lib/ground/few-at-once.ts';

const items = Array.from({ length: 30 }, (_, index) => index);

test('results are in order, and a few run at once', async () => {
  let [running, most] = [0, 0];
  const doubled = await fewAtOnce(items, async (item) => {
    running += 1;
    most = Math.max(most, running);
    for (let wait = 0; wait < item % 3; wait += 1) await turn();
    running -= 1;
    return 2 * item;
  });
  assert.equal(
    doubled,
    items.map((item) => 2 * item),
  );
  assert.ok(most > 1 && most <= 8, `${most} at once`);
  assert.equal(await fewAtOnce([], () => Promise.reject(new Error('never called'))), []);
});

test('nothing begins after a failure', async () => {
  const begun: number[] = [];
  const failure = await fewAtOnce(items, async (item) => {
    begun.push(item);
    await turn();
    if (item === 0) throw new Error('no');
  }).catch((error: Error) => error.message);
  for (let wait = 0; wait < 50; wait += 1) await turn();
  assert.is(failure, 'no');
  assert.ok(begun.length <= 16, `${begun.length} began`);
});

test.run();
