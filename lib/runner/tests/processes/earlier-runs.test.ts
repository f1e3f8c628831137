import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

const ok = (name: string, more: Partial<RigTask> = {}): RigTask =>
  driven(name, { commands: ['true'], ...more });
const withLock = () => ({ RIG_LOCK: join(folder, 'lock') });

test('a killed run is resumed, also with its lock', async () => {
  const tasks = [ok('a'), driven('b', { needs: ['a'], lock: true }), driven('c', { needs: ['b'] })];
  const env = withLock();
  const first = rig.run(tasks, ['c'], env);
  await (await rig.next('b')).exit();
  await rig.next('c');
  first.kill('SIGKILL');
  await first.exit;
  const second = rig.run(tasks, ['c', '--resume'], env);
  await (await rig.next('c')).exit();
  assert.is(await second.exit, 0);
  assert.not(rig.hasStarted('b'));
  assert.match(second.stderr, /done: 3 tasks in .*, 2 resumed\n/);
});

test('with a lock, resuming waits for the run at work; without, it is an error', async () => {
  const tasks = [ok('a', { lock: true }), driven('b', { needs: ['a'] })];
  const env = withLock();
  const first = rig.run(tasks, ['b'], env);
  const b = await rig.next('b');
  const waiting = rig.run(tasks, ['b', '--resume'], env);
  await waiting.says('waiting for run of b by pid');
  const plain = [ok('a'), driven('b', { needs: ['a'] })];
  const error = rig.run(plain, ['b', '--resume']);
  assert.is(await error.exit, 2, error.stderr);
  const why =
    /nothing to resume yet: the last run of `b`, since \d\d:\d\d, is still at work\n {2}why: it is pid \d+/;
  assert.match(error.stderr, why);
  await b.exit(3);
  assert.is(await first.exit, 3);
  await (await rig.next('b')).exit();
  assert.is(await waiting.exit, 0);
  assert.match(waiting.stderr, 'a was done by the last run');
});

test('nothing is resumed after another run that held the same lock', async () => {
  const env = withLock();
  const bad = ok('b', { needs: ['a'], commands: ['false'] });
  const tasks = [ok('a', { lock: true }), bad, ok('destroy', { lock: true })];
  for (const task of ['b', 'destroy']) await rig.run(tasks, [task], env).exit;
  const run = rig.run(tasks, ['b', '--resume'], env);
  assert.is(await run.exit, 2);
  const why = /nothing to resume: `destroy` was run since, at \d\d:\d\d\n {2}why: it held the same lock/;
  assert.match(run.stderr, why);
  // A run inside the run itself does nothing behind its back.
  const inner = `${process.execPath} ${rig.program} destroy`;
  const nesting = [...tasks, { name: 'nesting', needs: ['a'], plain: true, commands: [inner, 'false'] }];
  assert.is(await rig.run(nesting, ['nesting'], env).exit, 1);
  const resumed = rig.run(nesting, ['nesting', '--resume'], env);
  assert.is(await resumed.exit, 1, resumed.stderr);
});

test('a status command decides, sees the variables of the commands and stays silent', async () => {
  const status = `echo noise; test "$WANTED" = yes -a -e ${folder}/made`;
  const task: RigTask = { name: 'make', commands: [`touch ${folder}/made`], status };
  const env = { RIG_SHELL: '{"WANTED":"yes"}' };
  const first = rig.run([task], ['make', '--explain'], env);
  assert.is(await first.exit, 0);
  assert.match(first.stderr, 'make runs: its status command ended with exit code 1\n');
  const run = rig.run([task], ['make'], env);
  assert.is(await run.exit, 0);
  assert.is(run.stderr, '✓ make is up to date\n');
});

test('a signal ends a status command and the run', async () => {
  const run = rig.run([{ name: 'make', commands: ['true'], status: rig.command('status') }]);
  const status = await rig.next('status');
  run.kill('SIGTERM');
  await status.ended;
  assert.is(await run.exit, 143);
});

test.run();
