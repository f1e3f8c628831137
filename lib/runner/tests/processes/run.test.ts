import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('a time limit ends the whole group and gives 124', async () => {
  const run = rig.run([driven('slow', { timeoutMs: 4000 })]);
  const slow = await rig.next('slow');
  slow.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  await slow.ended;
  await grandchild.ended;
  assert.is(await run.exit, 124);
  assert.match(run.stderr, 'task `slow` timed out after 4.0s');
  assert.not.match(run.stderr, 'given up');
});

test('what a task leaves in the background ends with the task, not with the command', async () => {
  const run = rig.run([
    { name: 'server', commands: [`sh -c '${rig.command('background')} & exit 0'`, rig.command('next')] },
    driven('after', { needs: ['server'] }),
  ]);
  const background = await rig.next('background');
  const next = await rig.next('next');
  assert.ok((await rig.survivors()).includes(background.pid));
  await next.exit();
  const after = await rig.next('after');
  assert.equal(await rig.survivors(), [after.pid]);
  await after.exit();
  assert.is(await run.exit, 0);
});

test('secrets are hidden in output, commands, errors and events, also cut in two', async () => {
  const secret = 'correct horse battery';
  const task = { name: 'leak', secrets: [secret], commands: [`${rig.command('leak')} '${secret}'`] };
  const run = rig.run([task], ['leak', '--output', 'json']);
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

test('a dry run prints the plain commands of all needs to paste, and does nothing', async () => {
  const a = { name: 'a', commands: ['first command', 'second command'], lock: true };
  const b = {
    name: 'b',
    commands: ['third', 'serve'],
    needs: ['a'],
    confirm: 'really?',
    ready: { log: 'up' },
  };
  const words = ['b', '--dry-run', '--report', join(folder, 'run.html')];
  const run = rig.run([a, b], words, { RIG_LOCK: '/nonexistent/lock' });
  assert.is(await run.exit, 0);
  assert.is(run.stdout, 'first command\nsecond command\nthird\nserve &\n');
  assert.is(run.stderr, '');
  assert.not(existsSync(join(folder, 'run.html')));
});

test('folder and variables of the configuration are those of plain commands, a `run` gives its own', async () => {
  const env = { PATH: process.env.PATH ?? '', COLOUR: 'green' };
  for (const [task, colour, other] of [
    [{ plain: true }, 'blue', 'inherited'],
    [{ explicit: { cwd: folder, env } }, 'green', null],
  ] as const) {
    const shell = { RIG_SHELL: JSON.stringify({ cwd: folder, COLOUR: 'blue' }) };
    const run = rig.run([driven('a', task)], ['a'], { COLOUR: 'red', OTHER: 'inherited', ...shell });
    const a = await rig.next('a');
    assert.is(await a.environment('PWD'), realpathSync(folder));
    assert.is(await a.environment('COLOUR'), colour);
    assert.is(await a.environment('OTHER'), other);
    await a.exit();
    assert.is(await run.exit, 0);
  }
});

test('a stop ends the wait before another attempt', async () => {
  const run = rig.run([driven('flaky', { retries: 9, retryDelayMs: 3_600_000 })]);
  await (await rig.next('flaky')).exit(3);
  await run.says('attempt 1 of 10 failed');
  run.kill('SIGTERM');
  assert.is(await run.exit, 143);
});

/* Codes that the tests of signals, confirmations, failures and long-running processes do not show. */
const codes: readonly (readonly [string, number, RigTask])[] = [
  ['a time limit above that of a timer of Node', 0, { name: 'a', commands: ['true'], timeoutMs: 2 ** 40 }],
  ['a cleanup that fails', 1, { name: 'a', cleanup: 'false' }],
  ['another task of a name that the runner has', 2, { name: 'list' }],
  ['a command that is killed', 137, { name: 'a', commands: [`sh -c 'kill -KILL $$'`] }],
];

for (const [name, code, task] of codes)
  test(`exit code ${code}: ${name}`, async () => {
    assert.is(await rig.run([task]).exit, code);
  });

test.run();
