import { TaskError } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, parseAnswer, reasonOf, signalOf, toolFailure } from '../../../lib/tools/tool-answer.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('answers of tools');

const ended = (exitCode: number, stderr = '', signal: NodeJS.Signals | null = null): Ended => ({
  exitCode,
  stderr,
  signal,
});

test('a signal is known by its name or by the number that a shell makes of it', () => {
  assert.is(signalOf(ended(137, '', 'SIGKILL')), 'SIGKILL');
  assert.is(signalOf(ended(143)), 'SIGTERM');
  for (const exitCode of [128, 203, 1]) assert.is(signalOf(ended(exitCode)), undefined);
});

test('a failed program is reported with its last output, else with its exit', () => {
  assert.is(reasonOf(ended(1, 'first\nlast one\n───\n')), 'last one');
  assert.is(reasonOf(ended(14)), 'exit code 14');
  assert.is(reasonOf(ended(137, '', 'SIGKILL')), 'ended by SIGKILL');
  const killed = toolFailure('sops decrypt a.yaml', ended(137, '', 'SIGKILL'));
  assert.equal(
    [killed.what, killed.why],
    ['`sops decrypt a.yaml` was ended by SIGKILL', 'it printed no reason'],
  );
  assert.is(killed.exitCode, 137);
  const late = toolFailure('kubectl get', ended(124, '', 'SIGTERM'));
  assert.equal([late.what, late.exitCode], ['`kubectl get` took too long', 124]);
  assert.is(reasonOf(ended(124, '', 'SIGTERM')), 'it took too long and was ended');
  const failed = toolFailure('helm status x', ended(3, 'Error: connection refused\n'), 'look');
  assert.equal(
    [failed.what, failed.why, failed.advice],
    ['`helm status x` failed with exit code 3', 'Error: connection refused', 'look'],
  );
});

test('a full disk is named, not what a program says after it; a code 2 does not mean a wrong command line', () => {
  const full = 'tar: state.bin: Cannot write: No space left on device';
  const after = 'tar: Exiting with failure status due to previous errors';
  const { why, advice, exitCode } = toolFailure('tar -xzf x', ended(2, `${full}\n${after}\n`), 'look');
  assert.equal([why, advice, exitCode], [full, 'free some space, then run again', 1]);
});

test('a crashed Go program is reported with the message before its trace', () => {
  const trace = '\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/main.go:2 +0x28\nexit status 2\n';
  const runtime = '\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\tasm_amd64.s:373 +0x8\n';
  for (const [stderr, reason] of [
    [`GOMEMLIMIT=abc\nfatal error: malformed GOMEMLIMIT${runtime}`, 'fatal error: malformed GOMEMLIMIT'],
    [
      `W1128 a warning\npanic: assignment to entry in nil map${trace}`,
      'panic: assignment to entry in nil map',
    ],
    [
      `runtime: may need to increase ulimit -u\nfatal error: newosproc${trace}`,
      'runtime: may need to increase ulimit -u',
    ],
    [`SIGQUIT: quit\nPC=0x1 m=0${trace}`, 'SIGQUIT: quit'],
    // Without a trace the last line speaks.
    ['panic: true\nError: no such release\n', 'Error: no such release'],
    [trace, 'exit status 2'],
  ] as const)
    assert.is(reasonOf(ended(2, stderr)), reason);
});

test('an answer is whole JSON; anything else is an error that does not quote it', async () => {
  assert.equal(parseAnswer('x', { stdout: '{"items": []}' }), { items: [] });
  const secret = 'hunter2-hunter2';
  for (const stdout of ['', '\n', 'null', '3', `{"password": "${secret}`, `Warning: ${secret}\n{}`]) {
    const error = await failureOf((async () => parseAnswer('kubectl get x', { stdout }))());
    assert.instance(error, TaskError);
    assert.is(error.what, '`kubectl get x` gave no readable answer');
    assert.not.match(error.message, 'hunter2');
  }
});

test.run();
