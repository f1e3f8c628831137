import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

/** A cluster, an app in it and a test, with a finaliser for each. */
const story = (): RigTask[] => [
  driven('tool'),
  driven('remove-cluster', { needs: ['tool'] }),
  driven('remove-app'),
  driven('cluster', { finally: ['remove-cluster'] }),
  driven('app', { needs: ['cluster'], finally: ['remove-app'], cleanup: rig.command('cleanup') }),
  driven('test', { needs: ['app'] }),
];

async function pass(...names: string[]): Promise<void> {
  for (const name of names) {
    const invocation = await rig.next(name);
    for (const other of names) assert.not(rig.hasStarted(other), `${other} beside ${name}`);
    await invocation.exit();
  }
}

test('the first signal leaves a finaliser that runs alone, a second one kills it, the next still runs, then cleanups', async () => {
  const run = rig.run(story());
  await pass('cluster', 'app', 'test');
  const removeApp = await rig.next('remove-app');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) await removeApp.trap(signal);
  run.kill('SIGINT');
  await run.says('stopping on SIGINT');
  // It would have been told before it answers.
  assert.is(await removeApp.environment('NO_COLOR'), '1');
  assert.equal(await rig.survivors(), [removeApp.pid]);
  assert.not(removeApp.hasSignalled('SIGINT') || removeApp.hasSignalled('SIGTERM'));
  run.kill('SIGTERM');
  await removeApp.ended;
  await pass('tool', 'remove-cluster', 'cleanup');
  assert.is(await run.exit, 130);
  assert.equal(await rig.survivors(), []);
});

test('a finaliser that waits without a command ends with the second signal, not with the first', async () => {
  const tasks = [driven('undo', { behaviour: 'wait' }), driven('work', { finally: ['undo'] })];
  const run = rig.run(tasks, ['work', '--output', 'json']);
  await pass('work', 'undo');
  run.kill('SIGTERM');
  await run.says('run-stopping');
  assert.not.match(run.stderr, 'task-interrupted');
  run.kill('SIGINT');
  assert.is(await run.exit, 143);
  assert.match(run.stderr, 'task-interrupted');
});

test('after a signal a finaliser has only the time that it says, else 2 minutes', async () => {
  for (const [timeoutMs, level, limit] of [
    [300, '0', '0.3s'],
    // A run inside a run has half of it: 7 levels down less than a second.
    [undefined, '7', '0.9s'],
  ] as const) {
    const undo = { name: 'undo', commands: ['sleep 600'], ...(timeoutMs ? { timeoutMs } : { retries: 2 }) };
    const tasks = [undo, driven('work', { finally: ['undo'] })];
    const run = rig.run(tasks, ['work'], { TASK_RUNNER_LEVEL: level });
    const work = await rig.next('work');
    run.kill('SIGTERM');
    await work.ended;
    assert.is(await run.exit, 143);
    assert.match(run.stderr, /undo.*(timed out after|did not end within)/);
    assert.match(run.stderr, limit);
    assert.not.match(run.stderr, 'trying again');
  }
});

test.run();
