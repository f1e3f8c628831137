import { realpathSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('needs run before their dependent, at the same time, and a shared one once', async () => {
  const run = rig.run(
    [
      { name: 'base', commands: [rig.command('base')] },
      { name: 'left', commands: [rig.command('left')], needs: ['base'] },
      { name: 'right', commands: [rig.command('right')], needs: ['base'] },
      { name: 'top', commands: [rig.command('top')], needs: ['left', 'right', 'base'] },
    ],
    ['top'],
  );
  await (await rig.next('base')).exit();
  const [left, right] = await Promise.all([rig.next('left'), rig.next('right')]);
  assert.not(rig.hasStarted('top'));
  await left.exit();
  await right.exit();
  await (await rig.next('top')).exit();
  assert.is(await run.exit, 0);
  assert.not(rig.hasStarted('base'));
  assert.match(run.stderr, 'done: 4 tasks');
});

test('after a failure what is running may end, and nothing new is started', async () => {
  const run = rig.run(
    [
      { name: 'bad', commands: [rig.command('bad')] },
      { name: 'slow', commands: [rig.command('slow')] },
      { name: 'next', commands: [rig.command('next')], needs: ['slow'] },
      { name: 'top', needs: ['bad', 'next'] },
    ],
    ['top'],
  );
  const [bad, slow] = await Promise.all([rig.next('bad'), rig.next('slow')]);
  await bad.printError('out of luck\n');
  await bad.exit(7);
  await run.says('✗ bad');
  await slow.exit();
  assert.is(await run.exit, 7);
  assert.not(rig.hasStarted('next'));
  assert.match(
    run.stderr,
    /error: `sh -c .*` failed with exit code 7\n {2}why: out of luck\n {2}task: top → bad/,
  );
  assert.match(run.stderr, '1 failed, 1 done, 2 not started');
});

test('a failing task is tried again as often as it says', async () => {
  const run = rig.run(
    [{ name: 'flaky', commands: [rig.command('flaky')], retries: 2, retryDelayMs: 1 }],
    ['flaky'],
  );
  await (await rig.next('flaky')).exit(3);
  await (await rig.next('flaky')).exit(3);
  await (await rig.next('flaky')).exit(0);
  assert.is(await run.exit, 0);
  assert.match(run.stderr, 'attempt 2 of 3 failed, trying again');
});

test('a time limit ends the whole group and gives 124', async () => {
  const run = rig.run([{ name: 'slow', commands: [rig.command('slow')], timeoutMs: 1500 }], ['slow']);
  const slow = await rig.next('slow');
  slow.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  await slow.ended;
  await grandchild.ended;
  assert.is(await run.exit, 124);
  assert.match(run.stderr, 'task `slow` timed out after 1.5s');
  assert.not.match(run.stderr, 'given up');
});

test('what a task leaves in the background ends with the task, not with the command', async () => {
  const run = rig.run(
    [
      { name: 'server', commands: [`sh -c '${rig.command('background')} & exit 0'`, rig.command('next')] },
      { name: 'after', commands: [rig.command('after')], needs: ['server'] },
    ],
    ['after'],
  );
  const background = await rig.next('background');
  const next = await rig.next('next');
  assert.ok((await rig.survivors()).includes(background.pid));
  await next.exit();
  const after = await rig.next('after');
  assert.equal(await rig.survivors(), [after.pid]);
  await after.exit();
  assert.is(await run.exit, 0);
});

test('results go to stdout and everything else to stderr', async () => {
  const run = rig.run([{ name: 'status', commands: ['echo log'], behaviour: 'print' }], ['status']);
  assert.is(await run.exit, 0);
  assert.is(run.stdout, 'result of status\n');
  assert.match(run.stderr, '\nlog\n');
});

test('secrets are hidden in output, commands, errors and events, also cut in two', async () => {
  const secret = 'correct horse battery';
  const run = rig.run(
    [{ name: 'leak', secrets: [secret], commands: [`${rig.command('leak')} '${secret}'`] }],
    ['leak', '--output', 'json'],
  );
  const leak = await rig.next('leak');
  await leak.print('the secret is correct hor');
  await leak.print('se battery\n');
  await leak.print(`${Buffer.from(`x=${secret}`).toString('base64')}\n`);
  await leak.printError(`failed: ${secret}\n`);
  await leak.exit(1);
  assert.is(await run.exit, 1);
  assert.match(run.stderr, 'the secret is ***');
  assert.match(run.stderr, 'failed: ***');
  for (const word of ['correct', 'battery', Buffer.from(secret).toString('base64').slice(4, 20)]) {
    assert.not.match(run.stderr, word);
  }
});

test('an unexpected error is shown as a bug, its stack only with --verbose', async () => {
  const tasks = [{ name: 'broken', behaviour: 'bug' }] as const;
  const [short, long] = [rig.run(tasks, ['broken']), rig.run(tasks, ['broken', '--verbose'])];
  assert.is(await short.exit, 1);
  assert.match(short.stderr, 'error: Internal error: a bug');
  assert.not.match(short.stderr, 'tasks.ts:');
  assert.is(await long.exit, 1);
  assert.match(long.stderr, 'tasks.ts:');
});

test('a dry run prints the plain commands of all needs on stdout, and does nothing', async () => {
  const run = rig.run(
    [
      { name: 'a', commands: ['first command', 'second command'], lock: true },
      { name: 'b', commands: ['third command'], needs: ['a'], confirm: 'really?' },
    ],
    ['b', '--dry-run'],
    { RIG_LOCK: '/nonexistent/lock' },
  );
  assert.is(await run.exit, 0);
  assert.is(run.stdout, 'first command\nsecond command\nthird command\n');
  assert.is(run.stderr, '');
});

test('the folder and the variables of a task win over those of the configuration, and explicit ones over both', async () => {
  const base = { commands: [rig.command('a')], cwd: folder, env: { COLOUR: 'green', NO_COLOR: '' } };
  const path = { PATH: process.env.PATH ?? '' };
  for (const [task, place, colour, shape, other] of [
    [{ ...base, plain: true }, folder, 'green', 'round', 'inherited'],
    [base, folder, 'green', null, 'inherited'],
    [{ ...base, cwd: 'no/such/folder', explicit: { cwd: folder, env: path } }, folder, null, null, null],
  ] as const) {
    const run = rig.run([{ ...task, name: 'a' }], ['a'], {
      COLOUR: 'red',
      OTHER: 'inherited',
      RIG_SHELL: JSON.stringify({ COLOUR: 'blue', SHAPE: 'round' }),
    });
    const a = await rig.next('a');
    assert.is(await a.folder(), realpathSync(place));
    assert.is(await a.environment('COLOUR'), colour);
    assert.is(await a.environment('SHAPE'), shape);
    assert.is(await a.environment('OTHER'), other);
    await a.exit();
    assert.is(await run.exit, 0);
  }
});

test('a dry run shows folder and variables so that the commands can be pasted', async () => {
  const run = rig.run(
    [
      { name: 'a', commands: ['make', 'make test'], cwd: 'lib', env: { NAME: "it's", KEPT: 'same' } },
      { name: 'b', commands: ['serve'], cwd: '/', needs: ['a'], ready: { log: 'up' } },
    ],
    ['b', '--dry-run'],
    { KEPT: 'same' },
  );
  assert.is(await run.exit, 0);
  assert.is(
    run.stdout,
    "(cd lib && export NAME='it'\\''s' && make)\n(cd lib && export NAME='it'\\''s' && make test)\n(cd / && serve) &\n",
  );
});

test('a stop ends the wait before another attempt', async () => {
  const run = rig.run(
    [{ name: 'flaky', commands: [rig.command('flaky')], retries: 9, retryDelayMs: 3_600_000 }],
    ['flaky'],
  );
  await (await rig.next('flaky')).exit(3);
  await run.says('attempt 1 of 10 failed');
  run.kill('SIGTERM');
  assert.is(await run.exit, 143);
});

test('an unchanged run says that nothing changed', async () => {
  const run = rig.run(
    [
      { name: 'a', behaviour: 'unchanged' },
      { name: 'b', behaviour: 'unchanged', needs: ['a'] },
    ],
    ['b'],
  );
  assert.is(await run.exit, 0);
  assert.match(run.stderr, /done: 2 tasks in .*, nothing changed/);
});

test.run();
