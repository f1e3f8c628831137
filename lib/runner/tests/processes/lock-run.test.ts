import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../pause.ts';
import { driven, folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

const locked = (name: string): RigTask => ({ name, lock: true, commands: [rig.command(name)] });

test('a second run waits for the first and says for whom, or ends at once with CI set or --no-wait; one without a lock does neither', async () => {
  const first = rig.run([locked('create')], ['create']);
  const create = await rig.next('create');
  const second = rig.run([locked('create')], ['create', '--no-wait']);
  const pipeline = { CI: 'true' };
  const third = rig.run([locked('create')], ['create'], pipeline);
  for (const run of [second, third]) {
    await run.ends(1);
    assert.match(run.stderr, 'another run is at work: run of create by pid');
  }
  const fourth = rig.run([locked('destroy')], ['destroy', '--wait'], pipeline);
  await fourth.says('waiting for run of create by pid');
  await rig.run([{ name: 'status' }], ['status']).ends(0);
  assert.not(rig.hasStarted('destroy'));
  await create.exit();
  await first.ends(0);
  await rig.pass('destroy');
  await fourth.ends(0);
  assert.not(existsSync(rig.lock));
});

test('a run waits for the lock that its tasks name, too, and for no other', async () => {
  const project = join(folder, 'project.lock');
  const staging = { RIG_LOCK: join(folder, 'staging.lock') };
  const task = (name: string): RigTask => ({ ...locked(name), lock: project });
  const first = rig.run([task('create')], ['create']);
  const create = await rig.next('create');
  const free = rig.run([locked('free')], ['free'], staging);
  await rig.pass('free');
  await free.ends(0);
  const second = rig.run([locked('before'), task('destroy')], ['before', ',', 'destroy'], staging);
  await second.says('waiting for run of create by pid');
  assert.not(rig.hasStarted('before'));
  await create.exit();
  await first.ends(0);
  await rig.pass('before', 'destroy');
  await second.ends(0);
  assert.not(existsSync(project));
});

test('a run inside a run does not wait for the lock of the outer one; what leaves that run does, and others wait for it', async () => {
  const log = join(folder, 'log');
  const inside = `${process.execPath} ${rig.program}`;
  const commands = [`sh -c 'setsid ${inside} left > ${log} 2>&1 &'`, `${inside} inner`];
  const outer: RigTask = { name: 'create', lock: true, plain: true, commands };
  const tasks = [outer, ...['inner', 'left', 'next'].map(locked)];
  const first = rig.run(tasks, ['create']);
  const inner = await rig.next('inner');
  assert.is(await inner.environment('TASK_RUNNER_LEVEL'), '2');
  const said = 'waiting for run of create by pid';
  const waits = async () => (await readFile(log, 'utf8').catch(() => '')).includes(said);
  assert.ok(await poll(waits, 30_000), 'what was left does not wait');
  await inner.exit();
  await first.ends(0);
  const left = await rig.next('left');
  const second = rig.run(tasks, ['next']);
  await second.says('waiting for run of left by pid');
  await left.exit();
  await rig.pass('next');
  await second.ends(0);
});

test('the commands of a run that was killed are ended before the next one begins', async () => {
  const first = rig.run([locked('create')], ['create']);
  const create = await rig.next('create');
  first.kill('SIGKILL');
  await first.exit;
  assert.equal(await rig.survivors(), [create.pid]);
  const second = rig.run([locked('destroy')], ['destroy']);
  const destroy = await rig.next('destroy');
  assert.equal(await rig.survivors(), [destroy.pid]);
  await destroy.exit();
  await second.ends(0);
  const left = /ended \d+ process(es)? that the run of create by pid \d+ .*, which was killed, left behind/;
  assert.match(second.stderr, left);
});

/* What is left of earlier runs. */

const ok = (name: string, more: Partial<RigTask> = {}): RigTask =>
  driven(name, { commands: ['true'], ...more });

test('a killed run is resumed, also with its lock', async () => {
  const tasks = [ok('a'), driven('b', { needs: ['a'], lock: true }), driven('c', { needs: ['b'] })];
  const first = rig.run(tasks, ['c']);
  await rig.pass('b');
  await rig.next('c');
  first.kill('SIGKILL');
  await first.exit;
  const second = rig.run(tasks, ['c', '--resume']);
  await rig.pass('c');
  await second.ends(0);
  assert.not(rig.hasStarted('b'));
  assert.match(second.stderr, /done: 3 tasks in .*, 2 resumed\n/);
});

test('with a lock, resuming waits for the run at work; without, it is an error', async () => {
  const tasks = [ok('a', { lock: true }), driven('b', { needs: ['a'] })];
  const first = rig.run(tasks, ['b']);
  const b = await rig.next('b');
  const waiting = rig.run(tasks, ['b', '--resume']);
  await waiting.says('waiting for run of b by pid');
  const plain = [ok('a'), driven('b', { needs: ['a'] })];
  const error = await rig.run(plain, ['b', '--resume']).ends(2);
  const why =
    /nothing to resume yet: the last run of `b`, from \d\d:\d\d, is still at work\n {2}why: it is pid \d+/;
  assert.match(error.stderr, why);
  await b.exit(3);
  await first.ends(3);
  await rig.pass('b');
  await waiting.ends(0);
  assert.match(waiting.stderr, 'a was done by the last run');
});

test('nothing is resumed after another run that held the same lock', async () => {
  const bad = ok('b', { needs: ['a'], commands: ['false'] });
  const tasks = [ok('a', { lock: true }), bad, ok('destroy', { lock: true })];
  for (const task of ['b', 'destroy']) await rig.run(tasks, [task]).exit;
  const run = await rig.run(tasks, ['b', '--resume']).ends(2);
  const why = /nothing to resume: `destroy` was run since, at \d\d:\d\d\n {2}why: it held the same lock/;
  assert.match(run.stderr, why);
  // A run inside the run itself does nothing behind its back.
  const inner = `${process.execPath} ${rig.program} destroy`;
  const nesting = [...tasks, { name: 'nesting', needs: ['a'], plain: true, commands: [inner, 'false'] }];
  await rig.run(nesting, ['nesting']).ends(1);
  await rig.run(nesting, ['nesting', '--resume']).ends(1);
});

test('a status command decides, sees the variables of the commands and stays silent', async () => {
  const status = `echo noise; test "$WANTED" = yes -a -e ${folder}/made`;
  const task: RigTask = { name: 'make', commands: [`touch ${folder}/made`], status };
  const env = { RIG_SHELL: '{"WANTED":"yes"}' };
  const first = await rig.run([task], ['make', '--explain'], env).ends(0);
  assert.match(first.stderr, 'make runs: its status command ended with exit code 1\n');
  const run = await rig.run([task], ['make'], env).ends(0);
  assert.is(run.stderr, '✓ make is up to date\n');
});

test('a signal ends a status command and the run', async () => {
  const run = rig.run([{ name: 'make', commands: ['true'], status: rig.command('status') }]);
  const status = await rig.next('status');
  run.kill('SIGTERM');
  await status.ended;
  await run.ends(143);
});

test.run();
