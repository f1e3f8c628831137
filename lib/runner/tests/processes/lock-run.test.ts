import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as poll } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, rig, useRig, within } from '../rig/rig.ts';

useRig(test);

const locked = (name: string): RigTask => ({ name, lock: true, commands: [rig.command(name)] });
const environment = (): NodeJS.ProcessEnv => ({ RIG_LOCK: join(folder, 'development.lock') });

test('a second run waits for the first and says for whom, or ends at once with CI set or --no-wait; one without a lock does neither', async () => {
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
  assert.not(rig.hasStarted('destroy'));
  await create.exit();
  assert.is(await first.exit, 0);
  await (await rig.next('destroy')).exit();
  assert.is(await fourth.exit, 0);
  assert.not(existsSync(environment().RIG_LOCK ?? ''));
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
  assert.not(existsSync(project));
});

test('a run inside a run does not wait for the lock of the outer one; what leaves that run does, and others wait for it', async () => {
  const log = join(folder, 'log');
  const inside = `${process.execPath} ${rig.program}`;
  const commands = [`sh -c 'setsid ${inside} left > ${log} 2>&1 &'`, `${inside} inner`];
  const outer: RigTask = { name: 'create', lock: true, plain: true, commands };
  const tasks = [outer, ...['inner', 'left', 'next'].map(locked)];
  const first = rig.run(tasks, ['create'], environment());
  const inner = await rig.next('inner');
  assert.is(await inner.environment('TASK_RUNNER_LEVEL'), '2');
  const waits = async (): Promise<void> => {
    while (!(await readFile(log, 'utf8').catch(() => '')).includes('waiting for run of create by pid'))
      await poll(20);
  };
  await within(waits(), 'the wait of what was left');
  await inner.exit();
  assert.is(await first.exit, 0, first.stderr);
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
  const left = /ended \d+ process(es)? that the run of create by pid \d+ .*, which was killed, left behind/;
  assert.match(second.stderr, left);
});

test.run();
