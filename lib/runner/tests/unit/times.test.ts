import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { retryDelay } from '../../execute.ts';
import { formatDuration, formatSince } from '../../format.ts';
import { listenForSuspend, startLimit } from '../../suspend.ts';

test('durations are short at any length', () => {
  const short = { 0: '0.0s', 440: '0.4s', 9949: '9.9s', 9999: '9.9s', 10000: '10s', 59999: '59s' };
  const long = { 60000: '1m00s', 192000: '3m12s', 3900000: '1h05m' };
  for (const [milliseconds, text] of Object.entries({ ...short, ...long }))
    assert.is(formatDuration(Number(milliseconds)), text);
});

test('a time of another day says which', () => {
  const now = new Date(2031, 4, 2, 13, 5);
  assert.is(formatSince(new Date(2031, 4, 2, 0, 7), now), '00:07');
  assert.is(formatSince(new Date(2031, 4, 1, 23, 7), now), '2031-05-01 23:07');
});

test('the wait before another attempt doubles each time, and a very long one does not become none', () => {
  for (const [firstMs, delays] of [
    [undefined, [1000, 2000, 4000, 2_147_483_647]],
    [50, [50, 100, 200, 2_147_483_647]],
    [0, [0, 0, 0, 0]],
  ] as const)
    for (const [place, attempt] of [1, 2, 3, 100].entries())
      assert.is(retryDelay(firstMs, attempt), delays[place]);
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
  mock.timers.reset();
  mock.reset();
});

test.run();
