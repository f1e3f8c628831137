import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLostConnection, isPostgresqlReady } from '../../../lib/database/login.ts';
import { portOf } from '../../rig/loopback.ts';

for (const [name, answer] of [
  ['reports an error', (socket: Socket) => socket.end('E...')],
  ['has no TLS', (socket: Socket) => socket.write('N')],
  ['closes the connection', (socket: Socket) => socket.end()],
  ['never answers', () => undefined],
] as const)
  test(`a server that ${name} is not ready, nor is a closed port`, async () => {
    const open: Socket[] = [];
    const server = createServer((socket) => {
      open.push(socket);
      socket.on('error', () => undefined).once('data', () => answer(socket));
    });
    const port = await portOf(server);
    const isReady = await isPostgresqlReady('127.0.0.1', port, 1000);
    for (const socket of open) socket.destroy();
    await once(server.close(), 'close');
    assert.equal([isReady, await isPostgresqlReady('127.0.0.1', port, 1000)], [false, false]);
    assert.ok(open.length > 0);
  });

test('a lost connection is not mistaken for a refused login', () => {
  const lost = new Error('Connection terminated unexpectedly');
  const errors = [{ code: 'ECONNRESET' }, { code: 'ECONNREFUSED' }, lost, { code: '28P01' }];
  assert.equal(errors.map(isLostConnection), [true, true, true, false]);
});

test.run();
