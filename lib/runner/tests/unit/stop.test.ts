import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Children } from '../../children.ts';
import { Stop } from '../../stop.ts';

/** Only notes what it is asked to do. */
function fakeChildren(): { readonly calls: string[]; readonly children: Children } {
  const calls: string[] = [];
  const children = {
    interactive: false,
    stop: async (signal: string) => void calls.push(`stop ${signal}`),
    end: async () => void calls.push('end'),
    kill: () => void calls.push('kill'),
  };
  return { calls, children: children as unknown as Children };
}

/** Signals as the process would get them, without one being sent. */
function listenTo(...signals: NodeJS.Signals[]): { readonly calls: string[]; readonly stop: Stop } {
  const { calls, children } = fakeChildren();
  const stop = new Stop(children);
  stop.listen();
  for (const signal of signals) process.emit(signal);
  stop.close();
  return { calls, stop };
}

test('the same signal at once is an echo and does not kill', () => {
  const { calls, stop } = listenTo('SIGINT', 'SIGINT');
  assert.equal(calls, ['stop SIGINT']);
  assert.not(stop.hurrySignal.aborted);
});

test('nothing is left of the handlers', () => {
  const before = process.listenerCount('SIGINT') + process.listenerCount('uncaughtException');
  listenTo();
  assert.is(process.listenerCount('SIGINT') + process.listenerCount('uncaughtException'), before);
});

test.run();
