import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isPostgresqlReady } from '../../../lib/database/postgresql.ts';

/** Asks a server on loopback that does this with each connection. */
async function ask(serve: (socket: Socket) => void, timeoutMs?: number): Promise<boolean> {
  const server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await isPostgresqlReady('127.0.0.1', port, timeoutMs);
  } finally {
    server.close();
  }
}

/** A server without TLS: it refuses that, and answers what comes next. */
const plain = (answer: (socket: Socket, message: Buffer) => void) => (socket: Socket) =>
  socket.once('data', (request) => {
    // An SSLRequest: its length, and a number that is no version of the protocol.
    assert.equal([request.readInt32BE(0), request.readInt32BE(4)], [8, 80877103]);
    socket.once('data', (message) => answer(socket, message));
    socket.write('N');
  });

test('a server that asks for authentication is ready', async () => {
  let message: Buffer = Buffer.alloc(0);
  const ready = await ask(
    plain((socket, data) => {
      message = data;
      socket.end(Buffer.from('R\0\0\0\u0008\0\0\0\u000a', 'latin1'));
    }),
  );
  assert.is(ready, true);
  // A StartupMessage: its length, protocol 3.0, then names and values.
  assert.is(message.readInt32BE(0), message.length);
  assert.is(message.readInt32BE(4), 0x30000);
  assert.is(message.subarray(8).toString(), 'user\0postgres\0database\0postgres\0\0');
});

test('a server that is starting up answers with an error and is not ready', async () => {
  assert.is(await ask(plain((socket) => socket.end('E...'))), false);
  assert.is(await ask((socket) => socket.once('data', () => socket.end('E...'))), false);
});

test('a server that closes without an answer is not ready', async () => {
  assert.is(await ask((socket) => socket.once('data', () => socket.end())), false);
});

test('a server that never answers fails after the time limit', async () => {
  const open: Socket[] = [];
  assert.is(await ask((socket) => open.push(socket), 20), false);
  for (const socket of open) socket.destroy();
});

test('without a listener, nothing is ready', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  assert.is(await isPostgresqlReady('127.0.0.1', port), false);
});

test.run();
