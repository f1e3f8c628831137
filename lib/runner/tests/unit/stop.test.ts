import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { deferred } from '../../pause.ts';
import { Stop } from '../../stop.ts';
import { graphOf, plain } from '../rig/graphs.ts';
import { runInProcess } from '../rig/in-process-run.ts';

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
  mock.timers.enable({ apis: ['setTimeout'] });
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
  mock.timers.tick(60_000);
  over.resolve();
  await run.exitCode;
  mock.timers.reset();
  assert.not.match(run.stderr(), 'given up');
});

test.run();
