import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureExitCode, failuresExitCode, signalExitCode, stopExitCode } from '../../exit-codes.ts';

test('a signal is 128 and its number', () => {
  assert.is(signalExitCode('SIGINT'), 130);
  assert.is(signalExitCode('SIGTERM'), 143);
  assert.is(signalExitCode('SIGKILL'), 137);
});

test('a single failure keeps its code, several are 1, none is 0', () => {
  assert.is(failuresExitCode([]), 0);
  assert.is(failuresExitCode([{ exitCode: 42 }]), 42);
  assert.is(failuresExitCode([{ exitCode: 42 }, { exitCode: 43 }]), 1);
});

test('a failure has a code from 1 to 255, whatever it says itself', () => {
  for (const code of [1, 7, 255]) assert.is(failureExitCode(code), code);
  for (const code of [0, -1, 256, 512, 3221225786, 1.5, Number.NaN, '3', null, undefined])
    assert.is(failureExitCode(code), 1);
});

test('a run stopped from outside has the code of the signal, otherwise its own', () => {
  assert.is(stopExitCode({ type: 'signal', signal: 'SIGINT' }), 130);
  assert.is(stopExitCode({ type: 'hang-up' }), 129);
  assert.is(stopExitCode({ type: 'failure' }), undefined);
});

test.run();
