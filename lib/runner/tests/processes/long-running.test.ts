import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

/** A server, a task that needs it, one that needs nothing, and a requested task that needs both. */
function story(server: Partial<RigTask> = {}): RigTask[] {
  return [
    driven('server', { ready: { log: 'up' }, ...server }),
    driven('user', { needs: ['server'] }),
    driven('other'),
    driven('top', { needs: ['user', 'other'] }),
  ];
}

test('dependents start after a line of its output, and it is ended when the last of them has ended', async () => {
  const run = rig.run(story({ ready: { log: 'listening on' } }), ['top']);
  const server = await rig.next('server');
  const other = await rig.next('other');
  await server.print('starting\nlisten');
  assert.not(rig.hasStarted('user'));
  await server.print('ing \u001B[1mon\u001B[0m port 80\n');
  await rig.pass('user');
  // Although the run goes on.
  await server.ended;
  await other.exit();
  await rig.pass('top');
  await run.ends(0);
});

test('when it is not ready in time the error names what was waited for and what was said last: 124', async () => {
  const says = `sh -c 'echo reading the configuration; exec ${rig.command('server')}'`;
  const server = { ready: { log: 'listening on', timeoutMs: 3000 }, commands: [says] };
  const { stderr } = await rig.run(story(server), ['user']).ends(124);
  assert.match(stderr, 'task `server` was not ready within 3.0s');
  assert.match(stderr, 'waited for a line with `listening on`; it last said: reading the configuration');
  assert.match(stderr, '1 failed, 1 not started');
});

test('that it ends before it is ready is a failure, also with exit code 0; retries are for becoming ready, not for ending while it is needed', async () => {
  const run = rig.run(story({ retries: 1, retryDelayMs: 1 }), ['user']);
  await rig.pass('server');
  assert.not(rig.hasStarted('user'));
  const second = await rig.next('server');
  await second.print('up\n');
  const user = await rig.next('user');
  await second.exit(4);
  await run.says('✗ server');
  await user.exit();
  await run.ends(4);
  assert.not(rig.hasStarted('server'));
  assert.match(run.stderr, 'ended by itself before it was ready (attempt 1 of 2)');
  assert.match(run.stderr, 'task `server` ended by itself while it was needed');
});

test('requested on the command line it runs until a signal, which it gets itself', async () => {
  const run = rig.run(story(), ['server']);
  const server = await rig.next('server');
  await server.print('up\n');
  await run.says('server is ready');
  await server.trap('SIGINT');
  run.kill('SIGINT');
  await server.signalled('SIGINT');
  await server.exit();
  await run.ends(130);
});

/** A cluster, an app in it and a test, with a finaliser for each. */
const cluster = (): RigTask[] => [
  driven('tool'),
  driven('remove-cluster', { needs: ['tool'] }),
  driven('remove-app'),
  driven('cluster', { finally: ['remove-cluster'] }),
  driven('app', { needs: ['cluster'], finally: ['remove-app'], cleanup: rig.command('cleanup') }),
  driven('test', { needs: ['app'] }),
];

test('the first signal leaves a finaliser that runs alone, a second one kills it, the next still runs, then cleanups', async () => {
  const run = rig.run(cluster());
  await rig.pass('cluster', 'app', 'test');
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
  await rig.pass('tool', 'remove-cluster', 'cleanup');
  await run.ends(130);
});

test('a finaliser that waits without a command ends with the second signal, not with the first', async () => {
  const tasks = [driven('undo', { behaviour: 'wait' }), driven('work', { finally: ['undo'] })];
  const run = rig.run(tasks, ['work', '--output', 'json']);
  await rig.pass('work', 'undo');
  run.kill('SIGTERM');
  await run.says('run-stopping');
  assert.not.match(run.stderr, 'task-interrupted');
  run.kill('SIGINT');
  await run.ends(143);
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
    await rig.next('work');
    run.kill('SIGTERM');
    await run.ends(143);
    assert.match(run.stderr, new RegExp(`undo.*did not end within ${limit}`));
    assert.not.match(run.stderr, 'trying again');
  }
});

test.run();
