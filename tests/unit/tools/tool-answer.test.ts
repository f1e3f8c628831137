import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ifThere, textIfThere } from '../../../lib/ground/if-there.ts';
import { type Ended, parseAnswer, reasonOf, signalOf, toolFailure } from '../../../lib/tools/tool-answer.ts';

const test = suite('answers of tools');

const ended = (exitCode: number, stderr = '', signal: NodeJS.Signals | null = null): Ended => ({
  exitCode,
  stderr,
  signal,
});

test('a signal is known by its name or by the number that a shell makes of it', () => {
  assert.is(signalOf(ended(137, '', 'SIGKILL')), 'SIGKILL');
  assert.is(signalOf(ended(143)), 'SIGTERM');
  assert.is(signalOf(ended(128)), undefined);
  assert.is(signalOf(ended(203)), undefined);
  assert.is(signalOf(ended(1)), undefined);
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
  const trace = 'goroutine 1 [running]:\nmain.main()\n\t/tmp/main.go:2 +0x28\nexit status 2\n';
  for (const [stderr, reason] of [
    [
      'GOMEMLIMIT=abc\nfatal error: malformed GOMEMLIMIT\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\tasm_amd64.s:373 +0x8\n',
      'fatal error: malformed GOMEMLIMIT',
    ],
    [
      `W1128 a warning\npanic: assignment to entry in nil map\n\n${trace}`,
      'panic: assignment to entry in nil map',
    ],
    [
      `runtime: may need to increase ulimit -u\nfatal error: newosproc\n\n${trace}`,
      'runtime: may need to increase ulimit -u',
    ],
    [`SIGQUIT: quit\nPC=0x1 m=0\n\n${trace}`, 'SIGQUIT: quit'],
    // Without a trace the last line speaks.
    ['panic: true\nError: no such release\n', 'Error: no such release'],
    [trace, 'exit status 2'],
  ] as const)
    assert.is(reasonOf(ended(2, stderr)), reason);
});

test('an answer is whole JSON; anything else is an error that does not quote it', () => {
  assert.equal(parseAnswer('x', { stdout: '{"items": []}' }), { items: [] });
  for (const stdout of [
    '',
    '\n',
    'null',
    '3',
    '{"password": "hunter2-hunter2',
    'Warning: hunter2-hunter2\n{}',
  ]) {
    try {
      parseAnswer('kubectl get x', { stdout });
      assert.unreachable(stdout);
    } catch (error) {
      assert.instance(error, TaskError);
      assert.is((error as TaskError).what, '`kubectl get x` gave no readable answer');
      assert.not.match((error as TaskError).message, 'hunter2');
    }
  }
});

test('only what does not exist is absent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'there-'));
  try {
    writeFileSync(join(folder, 'file'), 'text');
    assert.is(await textIfThere(join(folder, 'file')), 'text');
    assert.is(await textIfThere(join(folder, 'none')), undefined);
    for (const read of [() => readFile(folder), () => readdir(join(folder, 'file'))]) {
      const error = await ifThere<unknown>(read()).then(
        () => undefined,
        (failure: unknown) => failure,
      );
      assert.instance(error, TaskError);
      assert.match((error as TaskError).what, /^cannot read /);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
