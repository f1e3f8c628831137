import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { listenForSuspend, startLimit } from '../../suspend.ts';

test.after.each(() => {
  mock.timers.reset();
  mock.reset();
});

test('the time for which the process was stopped is not part of a time limit', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  mock.method(performance, 'now', () => now);
  // Stopped for a minute by its own signal.
  mock.method(process, 'kill', () => {
    now += 60_000;
    return true;
  });
  let reached = false;
  startLimit(1000, () => {
    reached = true;
  });
  startLimit(1000, () => assert.unreachable('it was ended'))();
  const close = listenForSuspend({ suspend: () => false, resume: () => {} } as unknown as Children);
  now = 500;
  process.emit('SIGTSTP');
  close();
  mock.timers.tick(1000);
  assert.not(reached);
  now += 500;
  mock.timers.tick(500);
  assert.ok(reached);
});

test.run();
