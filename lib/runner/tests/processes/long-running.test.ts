import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

/** A server, a task that needs it, one that needs nothing, and a requested task that needs both. */
function story(ready: RigTask['ready'], server: Partial<RigTask> = {}): RigTask[] {
  return [
    driven('server', { ...(ready && { ready }), ...server }),
    driven('user', { needs: ['server'] }),
    driven('other'),
    driven('top', { needs: ['user', 'other'] }),
  ];
}

test('dependents start after a line of its output, and it is ended when the last of them has ended', async () => {
  const run = rig.run(story({ log: 'listening on' }), ['top']);
  const server = await rig.next('server');
  const other = await rig.next('other');
  await server.print('starting\nlisten');
  assert.not(rig.hasStarted('user'));
  await server.print('ing \u001B[1mon\u001B[0m port 80\n');
  await (await rig.next('user')).exit();
  // Although the run goes on.
  await server.ended;
  await other.exit();
  await (await rig.next('top')).exit();
  assert.is(await run.exit, 0);
});

test('it is ended with its group, also when it does not listen to SIGTERM', async () => {
  const run = rig.run(story({ log: 'up' }), ['user']);
  const server = await rig.next('server');
  server.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  await grandchild.trap('SIGTERM');
  await server.print('up\n');
  await (await rig.next('user')).exit();
  await grandchild.signalled('SIGTERM');
  await Promise.all([server.ended, grandchild.ended]);
  assert.is(await run.exit, 0);
  assert.equal(await rig.survivors(), []);
});

test('when it is not ready in time the error names what was waited for and what was said last: 124', async () => {
  const run = rig.run(story({ log: 'listening on', timeoutMs: 3000 }), ['user']);
  const server = await rig.next('server');
  await server.print('reading the configuration\n');
  await server.ended;
  assert.is(await run.exit, 124);
  assert.match(run.stderr, 'task `server` was not ready after 3.0s');
  assert.match(run.stderr, 'waited for a line with `listening on`; it last said: reading the configuration');
  assert.match(run.stderr, '1 failed, 1 not started');
  assert.equal(await rig.survivors(), []);
});

test('that it ends before it is ready is a failure, also with exit code 0; retries are for becoming ready', async () => {
  const run = rig.run(story({ log: 'up' }, { retries: 1, retryDelayMs: 1 }), ['user']);
  await (await rig.next('server')).exit();
  assert.not(rig.hasStarted('user'));
  const second = await rig.next('server');
  await second.print('up\n');
  const user = await rig.next('user');
  await second.exit(4);
  await run.says('✗ server');
  await user.exit();
  assert.is(await run.exit, 4);
  assert.not(rig.hasStarted('server'));
  assert.match(run.stderr, 'ended by itself before it was ready (attempt 1 of 2)');
});

for (const [mode, effect] of [
  ['no-new', 'what runs may end'],
  ['kill', 'what runs is ended'],
] as const)
  test(`that it ends while it is needed is a failure: nothing new is started, and in mode ${mode} ${effect}`, async () => {
    const run = rig.run(story({ log: 'up' }), ['top', '--failure', mode]);
    const server = await rig.next('server');
    await server.print('up\n');
    const both = await Promise.all([rig.next('user'), rig.next('other')]);
    await server.exit(3);
    await run.says('✗ server');
    await Promise.all(both.map((one) => (mode === 'kill' ? one.ended : one.exit())));
    assert.is(await run.exit, 3);
    assert.match(run.stderr, 'task `server` ended by itself while it was needed');
    assert.not(rig.hasStarted('top'));
  });

test('when it ends, those who wait behind a group are left out too', async () => {
  const run = rig.run(
    [
      driven('server', { ready: { log: 'up' } }),
      driven('slow'),
      { name: 'group', plain: true, needs: ['server'] },
      driven('user', { needs: ['group', 'slow'] }),
    ],
    ['user', '--failure', 'continue'],
  );
  const server = await rig.next('server');
  await server.print('up\n');
  await run.says('✓ group');
  await server.exit(1);
  await run.says('✗ server');
  await (await rig.next('slow')).exit();
  assert.is(await run.exit, 1);
  assert.not(rig.hasStarted('user'));
});

test('requested on the command line it runs until a signal, which it gets itself', async () => {
  const run = rig.run(story({ log: 'up' }), ['server']);
  const server = await rig.next('server');
  await server.print('up\n');
  await run.says('server is ready');
  await server.trap('SIGINT');
  run.kill('SIGINT');
  await server.signalled('SIGINT');
  await server.exit();
  assert.is(await run.exit, 130);
});

test('a requested one is ended when another task fails', async () => {
  const run = rig.run([
    driven('api', { ready: { log: 'up' } }),
    driven('build'),
    { name: 'develop', plain: true, needs: ['api', 'build'] },
  ]);
  const api = await rig.next('api');
  await api.print('up\n');
  await run.says('api is ready');
  await (await rig.next('build')).exit(6);
  await api.ended;
  assert.is(await run.exit, 6);
});

test.run();
