import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endLeftOpen, keepOpen } from '../../left-open.ts';

let now = 0;
let ended = false;
test.before.each(() => {
  now = 0;
  ended = false;
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(performance, 'now', () => now);
  mock.method(process.stderr, 'write', () => true);
  mock.method(process, 'exit', () => {
    ended = true;
  });
});
test.after.each(() => {
  process.exitCode = undefined;
  Reflect.deleteProperty(process.stdout, 'writableLength');
  mock.timers.reset();
  mock.reset();
});

async function pass(milliseconds: number): Promise<void> {
  for (let past = 0; past < milliseconds; past += 100) {
    now += 100;
    mock.timers.tick(100);
  }
  await new Promise((resolve) => setImmediate(resolve));
}

test('a reader of the output has the time that it takes', async () => {
  let unread = 1;
  Object.defineProperty(process.stdout, 'writableLength', { configurable: true, get: () => unread });
  endLeftOpen(() => {});
  process.exitCode = 0;
  await pass(60_000);
  assert.not(ended);
  unread = 0;
  await pass(2200);
  assert.ok(ended);
});

test('another run in the same process is not ended with the first', async () => {
  process.exitCode = 0;
  endLeftOpen(() => {});
  keepOpen();
  await pass(60_000);
  assert.not(ended);
});

test.run();
