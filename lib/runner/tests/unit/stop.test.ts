import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { Stop } from '../../stop.ts';

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

test.run();
