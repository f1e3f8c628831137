import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { retryDelay } from '../../execute.ts';
import { formatDuration, formatSince } from '../../format.ts';
import { endLeftOpen, keepOpen } from '../../left-open.ts';
import { deferred } from '../../pause.ts';
import { Stop } from '../../stop.ts';
import { listenForSuspend, startLimit } from '../../suspend.ts';
import { graphOf, plain } from '../rig/graphs.ts';
import { runInProcess } from '../rig/in-process-run.ts';

/** Time stands still; `pass` lets it go on by milliseconds. */
let now: number;
test.before.each(() => {
  now = 0;
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(performance, 'now', () => now);
});
test.after.each(() => {
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

test('the same signal at once is an echo and does not kill', () => {
  const calls: string[] = [];
  const stop = new Stop({
    interactive: false,
    stop: async (signal: string) => void calls.push(`stop ${signal}`),
    kill: () => void calls.push('kill'),
  } as unknown as Children);
  stop.listen();
  for (const signal of ['SIGINT', 'SIGINT'] as const) process.emit(signal);
  stop.close();
  assert.equal(calls, ['stop SIGINT']);
  assert.not(stop.hurrySignal.aborted);
});

test('a task that has ended in time is not given up, whatever still runs', async () => {
  const [begun, cleaning, over] = [deferred<void>(), deferred<void>(), deferred<void>()];
  const clean = plain('clean', {
    run: () => {
      cleaning.resolve();
      return over.promise;
    },
  });
  const quick = plain('quick', {
    finally: [clean],
    run: ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve());
        begun.resolve();
      }),
  });
  const run = runInProcess(await graphOf(quick), 1, 'no-new');
  await begun.promise;
  run.stop.begin({ type: 'failure' });
  await cleaning.promise;
  await pass(60_000);
  over.resolve();
  await run.exitCode;
  assert.not.match(run.stderr(), 'given up');
});

for (const [name, ends] of [
  ['a reader of the output has the time that it takes', true],
  ['another run in the same process is not ended with the first', false],
] as const)
  test(name, async () => {
    let unread = ends ? 1 : 0;
    Object.defineProperty(process.stdout, 'writableLength', { configurable: true, get: () => unread });
    mock.method(process.stderr, 'write', () => true);
    const exit = mock.method(process, 'exit', () => undefined as never);
    process.exitCode = 0;
    endLeftOpen(() => {});
    if (!ends) keepOpen();
    await pass(60_000);
    assert.is(exit.mock.callCount(), 0);
    unread = 0;
    await pass(2200);
    assert.is(exit.mock.callCount(), ends ? 1 : 0);
    process.exitCode = undefined;
    Reflect.deleteProperty(process.stdout, 'writableLength');
  });

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

test('the time for which the process was stopped is not part of a time limit', async () => {
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
  await pass(500);
  assert.ok(reached);
});

test.run();
