import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as poll } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, rig, useRig, within } from '../rig/rig.ts';

useRig(test);

const locked = (name: string): RigTask => ({ name, lock: true, commands: [rig.command(name)] });
/** The start of a run inside a task. */
const inside = (): string => `${process.execPath} ${rig.program}`;
const outer = (...commands: string[]): RigTask => ({ name: 'create', lock: true, plain: true, commands });
const environment = (): NodeJS.ProcessEnv => ({ RIG_LOCK: join(folder, 'development.lock') });

const isLocked = (path = join(folder, 'development.lock')): boolean => existsSync(path);

test('a second run waits for the first, and says for whom', async () => {
  const first = rig.run([locked('create')], ['create'], environment());
  const create = await rig.next('create');
  const second = rig.run([locked('destroy')], ['destroy'], environment());
  await second.says('waiting for run of create by pid');
  assert.not(rig.hasStarted('destroy'));
  await create.exit();
  assert.is(await first.exit, 0);
  await (await rig.next('destroy')).exit();
  assert.is(await second.exit, 0);
  assert.not(isLocked());
});

test('with CI set or --no-wait the second run ends at once with 1, but waits with --wait; one without a lock does not wait', async () => {
  const first = rig.run([locked('create')], ['create'], environment());
  const create = await rig.next('create');
  const second = rig.run([locked('create')], ['create', '--no-wait'], environment());
  const pipeline = { ...environment(), CI: 'true' };
  const third = rig.run([locked('create')], ['create'], pipeline);
  for (const run of [second, third]) {
    assert.is(await run.exit, 1);
    assert.match(run.stderr, 'another run is at work: run of create by pid');
  }
  const fourth = rig.run([locked('destroy')], ['destroy', '--wait'], pipeline);
  await fourth.says('waiting for run of create by pid');
  assert.is(await rig.run([{ name: 'status' }], ['status'], environment()).exit, 0);
  await create.exit();
  assert.is(await first.exit, 0);
  await (await rig.next('destroy')).exit();
  assert.is(await fourth.exit, 0);
});

test('a run waits for the lock that its tasks name, too, and for no other', async () => {
  const project = join(folder, 'project.lock');
  const staging = { RIG_LOCK: join(folder, 'staging.lock') };
  const task = (name: string): RigTask => ({ ...locked(name), lock: project });
  const first = rig.run([task('create')], ['create'], environment());
  const create = await rig.next('create');
  const free = rig.run([locked('free')], ['free'], staging);
  await (await rig.next('free')).exit();
  assert.is(await free.exit, 0);
  const second = rig.run([locked('before'), task('destroy')], ['before', ',', 'destroy'], staging);
  await second.says('waiting for run of create by pid');
  assert.not(rig.hasStarted('before'));
  await create.exit();
  assert.is(await first.exit, 0);
  await (await rig.next('before')).exit();
  await (await rig.next('destroy')).exit();
  assert.is(await second.exit, 0);
  assert.not(isLocked(project));
});

test('a run inside a run does not wait for the lock of the outer one', async () => {
  const run = rig.run([outer(`${inside()} inner`), locked('inner')], ['create'], environment());
  const inner = await rig.next('inner');
  assert.is(await inner.environment('TASK_RUNNER_LEVEL'), '2');
  await inner.exit();
  assert.is(await run.exit, 0, run.stderr);
});

test('what leaves a run takes its own lock: it waits for that run, and others wait for it', async () => {
  const log = join(folder, 'log');
  const leave = `sh -c 'setsid ${inside()} left > ${log} 2>&1 &'`;
  const tasks = [outer(leave, rig.command('create')), locked('left'), locked('next')];
  const first = rig.run(tasks, ['create'], environment());
  const create = await rig.next('create');
  const waits = async (): Promise<void> => {
    while (!(await readFile(log, 'utf8').catch(() => '')).includes('waiting for run of create by pid'))
      await poll(20);
  };
  await within(waits(), 'the wait of what was left');
  await create.exit();
  assert.is(await first.exit, 0);
  const left = await rig.next('left');
  const second = rig.run(tasks, ['next'], environment());
  await second.says('waiting for run of left by pid');
  await left.exit();
  await (await rig.next('next')).exit();
  assert.is(await second.exit, 0);
});

test('the commands of a run that was killed are ended before the next one begins', async () => {
  const first = rig.run([locked('create')], ['create'], environment());
  const create = await rig.next('create');
  first.kill('SIGKILL');
  await first.exit;
  assert.equal(await rig.survivors(), [create.pid]);
  const second = rig.run([locked('destroy')], ['destroy'], environment());
  const destroy = await rig.next('destroy');
  assert.equal(await rig.survivors(), [destroy.pid]);
  await destroy.exit();
  assert.is(await second.exit, 0);
  assert.match(
    second.stderr,
    /ended \d+ process(es)? that the run of create by pid \d+ .*, which was killed, left behind/,
  );
});

test.run();
