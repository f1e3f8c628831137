import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLostConnection, isPostgresqlReady } from '../../../lib/database/login.ts';

for (const [name, answer] of [
  ['reports an error', (socket: Socket) => socket.end('E...')],
  ['has no TLS', (socket: Socket) => socket.write('N')],
  ['closes the connection', (socket: Socket) => socket.end()],
  ['never answers', () => undefined],
] as const) {
  test(`a server that ${name} is not ready, nor is a closed port`, async () => {
    const open: Socket[] = [];
    const server = createServer((socket) => {
      open.push(socket);
      socket.on('error', () => undefined).once('data', () => answer(socket));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const isReady = await isPostgresqlReady('127.0.0.1', port, 1000);
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
    assert.equal([isReady, await isPostgresqlReady('127.0.0.1', port, 1000)], [false, false]);
    assert.ok(open.length > 0);
  });
}

test('a lost connection is not mistaken for a refused login', () => {
  const lost = [
    { code: 'ECONNRESET' },
    { code: 'ECONNREFUSED' },
    new Error('Connection terminated unexpectedly'),
  ];
  assert.equal(lost.map(isLostConnection), [true, true, true]);
  assert.is(
    isLostConnection(Object.assign(new Error('password authentication failed'), { code: '28P01' })),
    false,
  );
});

test.run();
