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
  await (await rig.next('user')).exit();
  // Although the run goes on.
  await server.ended;
  await other.exit();
  await (await rig.next('top')).exit();
  assert.is(await run.exit, 0);
});

test('when it is not ready in time the error names what was waited for and what was said last: 124', async () => {
  const run = rig.run(story({ ready: { log: 'listening on', timeoutMs: 3000 } }), ['user']);
  const server = await rig.next('server');
  await server.print('reading the configuration\n');
  await server.ended;
  assert.is(await run.exit, 124);
  assert.match(run.stderr, 'task `server` was not ready after 3.0s');
  assert.match(run.stderr, 'waited for a line with `listening on`; it last said: reading the configuration');
  assert.match(run.stderr, '1 failed, 1 not started');
  assert.equal(await rig.survivors(), []);
});

test('that it ends before it is ready is a failure, also with exit code 0; retries are for becoming ready, not for ending while it is needed', async () => {
  const run = rig.run(story({ retries: 1, retryDelayMs: 1 }), ['user']);
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
  assert.is(await run.exit, 130);
});

test.run();
