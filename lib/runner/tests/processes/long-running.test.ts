import { createServer } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../rig/free-port.ts';
import { type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

type Ready = NonNullable<RigTask['ready']>;

/** A server, a task that needs it, one that needs nothing, and a requested task that needs both. */
function story(ready: Ready, server: Partial<RigTask> = {}): RigTask[] {
  return [
    { name: 'server', commands: [rig.command('server')], ready, ...server },
    { name: 'user', commands: [rig.command('user')], needs: ['server'] },
    { name: 'other', commands: [rig.command('other')] },
    { name: 'top', commands: [rig.command('top')], needs: ['user', 'other'] },
  ];
}

const ways: readonly (readonly [string, (port: number) => Ready, (port: number) => string])[] = [
  ['port', (port) => ({ port }), (port) => `port ${port}`],
  [
    'url',
    (port) => ({ url: `http://127.0.0.1:${port}/health` }),
    (port) => `http://127.0.0.1:${port}/health`,
  ],
];

for (const [way, ready] of ways) {
  test(`dependents start when its ${way} answers, and it is ended when the last of them has ended`, async () => {
    const port = await freePort();
    const run = rig.run(story(ready(port)), ['top', '--output', 'json']);
    const server = await rig.next('server');
    const other = await rig.next('other');
    assert.not(rig.hasStarted('user'));
    await server.listen(port);
    await run.says('"type":"task-ready"');
    await (await rig.next('user')).exit();
    // Although the run goes on.
    await server.ended;
    await other.exit();
    await (await rig.next('top')).exit();
    assert.is(await run.exit, 0);
  });
}

test('a URL that answers with an error is not ready yet', async () => {
  const port = await freePort();
  const run = rig.run(story({ url: `http://127.0.0.1:${port}/`, timeoutMs: 1500 }), ['user']);
  const server = await rig.next('server');
  await server.listen(port, 503);
  await server.ended;
  assert.is(await run.exit, 124);
  assert.not(rig.hasStarted('user'));
});

for (const [way, ready] of [
  ['a line of its output', { log: 'listening on' }],
  ['a line that matches', { pattern: 'listening .* \\d+$' }],
] as const) {
  test(`dependents start after ${way}`, async () => {
    const run = rig.run(story(ready), ['user']);
    const server = await rig.next('server');
    await server.print('starting\nlisten');
    assert.not(rig.hasStarted('user'));
    await server.print('ing \u001B[1mon\u001B[0m port 80\n');
    await (await rig.next('user')).exit();
    await server.ended;
    assert.is(await run.exit, 0);
  });
}

test('dependents start when its command exits with 0', async () => {
  const run = rig.run(story({ command: rig.command('probe') }), ['user']);
  const server = await rig.next('server');
  await (await rig.next('probe')).exit(1);
  const probe = await rig.next('probe');
  assert.not(rig.hasStarted('user'));
  await probe.exit();
  await (await rig.next('user')).exit();
  await server.ended;
  assert.is(await run.exit, 0);
});

test('several dependents share one, also behind a task that only brings processes together', async () => {
  const run = rig.run(
    [
      { name: 'base', commands: [rig.command('base')], ready: { log: 'up' } },
      { name: 'server', commands: [rig.command('server')], ready: { log: 'up' }, needs: ['base'] },
      { name: 'group', plain: true, needs: ['server'] },
      { name: 'a', commands: [rig.command('a')], needs: ['group'] },
      { name: 'b', commands: [rig.command('b')], needs: ['server', 'a'] },
      { name: 'top', commands: [rig.command('top')], needs: ['b'] },
    ],
    ['top'],
  );
  const base = await rig.next('base');
  assert.not(rig.hasStarted('server'));
  await base.print('up\n');
  const server = await rig.next('server');
  await server.print('up\n');
  await (await rig.next('a')).exit();
  await (await rig.next('b')).exit();
  await server.ended;
  await base.ended;
  const top = await rig.next('top');
  assert.equal(await rig.survivors(), [top.pid]);
  await top.exit();
  assert.is(await run.exit, 0);
  assert.not(rig.hasStarted('server'));
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
  const port = await freePort();
  const run = rig.run(story({ port, timeoutMs: 1500 }), ['user']);
  const server = await rig.next('server');
  await server.print('reading the configuration\n');
  await server.ended;
  assert.is(await run.exit, 124);
  assert.match(run.stderr, 'task `server` was not ready after 1.5s');
  assert.match(run.stderr, `waited for port ${port}; it last said: reading the configuration`);
  assert.match(run.stderr, '1 failed, 1 not started');
  assert.equal(await rig.survivors(), []);
});

test('retries are for becoming ready', async () => {
  const run = rig.run(story({ log: 'up' }, { retries: 1, retryDelayMs: 1 }), ['user']);
  await (await rig.next('server')).exit(3);
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

for (const code of [0, 3]) {
  test(`that it ends before it is ready is a failure (exit code ${code})`, async () => {
    const run = rig.run(story({ log: 'up' }), ['user']);
    await (await rig.next('server')).exit(code);
    assert.is(await run.exit, code || 1);
    assert.match(run.stderr, 'task `server` ended by itself before it was ready');
    assert.not(rig.hasStarted('user'));
  });

  test(`that it ends while it is needed is a failure (exit code ${code})`, async () => {
    const run = rig.run(story({ log: 'up' }), ['top']);
    const server = await rig.next('server');
    await server.print('up\n');
    const [user, other] = await Promise.all([rig.next('user'), rig.next('other')]);
    await server.exit(code);
    await run.says('✗ server');
    // Told as any failure: what runs may end, nothing new is started.
    await Promise.all([user.exit(), other.exit()]);
    assert.is(await run.exit, code || 1);
    assert.match(run.stderr, 'task `server` ended by itself while it was needed');
    assert.not(rig.hasStarted('top'));
  });
}

test('when it ends while it is needed, the failure mode kill ends its dependents', async () => {
  const run = rig.run(story({ log: 'up' }), ['user', '--failure', 'kill']);
  const server = await rig.next('server');
  await server.print('up\n');
  const user = await rig.next('user');
  await server.exit(5);
  await user.ended;
  assert.is(await run.exit, 5);
});

test('when it ends, those who wait behind a group are left out too', async () => {
  const run = rig.run(
    [
      { name: 'server', commands: [rig.command('server')], ready: { log: 'up' } },
      { name: 'slow', commands: [rig.command('slow')] },
      { name: 'group', plain: true, needs: ['server'] },
      { name: 'user', commands: [rig.command('user')], needs: ['group', 'slow'] },
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

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`requested on the command line it runs until ${signal}: ${code}`, async () => {
    const run = rig.run(story({ log: 'up' }), ['server']);
    const server = await rig.next('server');
    await server.print('up\n');
    await run.says('server is ready');
    await server.trap(signal);
    run.kill(signal);
    await server.signalled(signal);
    await server.exit();
    assert.is(await run.exit, code);
  });
}

test('requested as a need of a task without commands, both run until a signal', async () => {
  const run = rig.run(
    [
      { name: 'api', commands: [rig.command('api')], ready: { log: 'up' } },
      { name: 'web', commands: [rig.command('web')], ready: { log: 'up' }, needs: ['api'] },
      { name: 'develop', plain: true, needs: ['api', 'web'] },
    ],
    ['develop', '--jobs', '1'],
  );
  const api = await rig.next('api');
  await api.print('up\n');
  const web = await rig.next('web');
  await web.print('up\n');
  await run.says('✓ develop');
  assert.equal((await rig.survivors()).length, 2);
  run.kill('SIGINT');
  await Promise.all([api.ended, web.ended]);
  assert.is(await run.exit, 130);
});

test('a requested one is ended when another task fails', async () => {
  const run = rig.run(
    [
      { name: 'api', commands: [rig.command('api')], ready: { log: 'up' } },
      { name: 'build', commands: [rig.command('build')] },
      { name: 'develop', plain: true, needs: ['api', 'build'] },
    ],
    ['develop'],
  );
  const api = await rig.next('api');
  await api.print('up\n');
  await run.says('api is ready');
  await (await rig.next('build')).exit(6);
  await api.ended;
  assert.is(await run.exit, 6);
});

test('it is ended before finalisers that do not need it, and after one that does', async () => {
  const run = rig.run(
    [
      {
        name: 'server',
        commands: [rig.command('server')],
        ready: { log: 'up' },
        finally: ['dump', 'remove'],
      },
      { name: 'dump', commands: [rig.command('dump')], needs: ['server'] },
      { name: 'remove', commands: [rig.command('remove')] },
      { name: 'user', commands: [rig.command('user')], needs: ['server'] },
    ],
    ['user'],
  );
  const server = await rig.next('server');
  await server.print('up\n');
  await (await rig.next('user')).exit();
  const dump = await rig.next('dump');
  assert.ok((await rig.survivors()).includes(server.pid));
  assert.not(rig.hasStarted('remove'));
  await dump.exit();
  await server.ended;
  const remove = await rig.next('remove');
  assert.equal(await rig.survivors(), [remove.pid]);
  await remove.exit();
  assert.is(await run.exit, 0);
});

test('a signal leaves it alone while a finaliser needs it', async () => {
  const run = rig.run(
    [
      { name: 'server', commands: [rig.command('server')], ready: { log: 'up' } },
      { name: 'dump', commands: [rig.command('dump')], needs: ['server'] },
      { name: 'user', commands: [rig.command('user')], needs: ['server'], finally: ['dump'] },
    ],
    ['user'],
  );
  const server = await rig.next('server');
  await server.print('up\n');
  const user = await rig.next('user');
  run.kill('SIGINT');
  await user.ended;
  const dump = await rig.next('dump');
  assert.ok((await rig.survivors()).includes(server.pid));
  await dump.exit();
  await server.ended;
  assert.is(await run.exit, 130);
});

test('requested on the command line, and needed by a finaliser, it ends after that when a signal comes', async () => {
  const run = rig.run(
    [
      { name: 'prepare', finally: ['dump'] },
      { name: 'server', commands: [rig.command('server')], ready: { log: 'up' }, needs: ['prepare'] },
      { name: 'dump', commands: [rig.command('dump')], needs: ['server'] },
    ],
    ['server'],
  );
  const server = await rig.next('server');
  await server.print('up\n');
  await run.says('server is ready');
  run.kill('SIGTERM');
  const dump = await rig.next('dump');
  assert.ok((await rig.survivors()).includes(server.pid));
  await dump.exit();
  await server.ended;
  assert.is(await run.exit, 143);
});

test('a finaliser may need one that nobody else does', async () => {
  const run = rig.run(
    [
      { name: 'proxy', commands: [rig.command('proxy')], ready: { log: 'up' } },
      { name: 'dump', commands: [rig.command('dump')], needs: ['proxy'] },
      { name: 'work', commands: [rig.command('work')], finally: ['dump'] },
    ],
    ['work'],
  );
  const work = await rig.next('work');
  assert.not(rig.hasStarted('proxy'));
  run.kill('SIGTERM');
  await work.ended;
  const proxy = await rig.next('proxy');
  await proxy.print('up\n');
  await (await rig.next('dump')).exit();
  await proxy.ended;
  assert.is(await run.exit, 143);
});

test('a place where somebody else answers already is an error', async () => {
  const taken = createServer((_, response) => response.end());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    for (const [, ready, named] of ways) {
      const run = rig.run(story(ready(port)), ['user']);
      assert.is(await run.exit, 1);
      assert.match(run.stderr, `${named(port)} is in use already`);
      assert.not(rig.hasStarted('server'));
    }
  } finally {
    taken.close();
  }
});

test('a readiness that cannot be is told before anything runs', async () => {
  for (const [ready, message] of [
    [{}, 'expected exactly one of port, url, log, command, got none'],
    [{ port: 80, log: 'up' }, 'got port and log'],
    [{ port: 0 }, 'expected `port` to be an integer from 1 to 65535, got `0`'],
    [{ url: 'localhost:80' }, 'expected `url` to begin with http:// or https://, got `localhost:80`'],
    [{ log: 'up', timeoutMs: 0 }, 'expected `timeoutMs` to be a number of milliseconds above 0'],
  ] as const) {
    const run = rig.run(story(ready), ['top']);
    assert.is(await run.exit, 2);
    assert.match(run.stderr, message);
    assert.not(rig.hasStarted('other'));
  }
});

test('a dry run shows it in the background', async () => {
  const run = rig.run(
    [
      { name: 'server', commands: ['make', 'serve'], ready: { port: 80 } },
      { name: 'user', commands: ['use'], needs: ['server'] },
    ],
    ['user', '--dry-run'],
  );
  assert.is(await run.exit, 0);
  assert.is(run.stdout, 'make\nserve &\nuse\n');
});

test.run();
