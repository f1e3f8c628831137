import { once } from 'node:events';
import { createServer, Server } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkPorts, choosePorts, portBlock, portNames } from '../../../lib/cluster/embedded/ports.ts';
import { isFree } from '../../../lib/ground/free-port.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { fails } from '../../rig/task-context.ts';

async function listening<Result>(port: number, body: () => Promise<Result>): Promise<Result> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return body().finally(() => server.close());
}

test('a block is consecutive, below the ports that clients use, and the same for a key', () => {
  const block = portBlock('0badcafe');
  assert.equal(block, portBlock('0badcafe'));
  assert.equal(
    Object.values(block),
    portNames.map((_, index) => block.kubeApiserver + index),
  );
  for (const key of ['00000000', '0badcafe', 'ffffffff']) {
    for (const port of Object.values(portBlock(key))) assert.ok(port >= 20_000 && port < 32_768);
  }
});

test('blocks of different keys and steps do not overlap', () => {
  const seen = ['00000000', '00000001', '00000002'].map((key) => portBlock(key).kubeApiserver);
  assert.is(new Set(seen).size, 3);
  assert.is(portBlock('00000000', 1).kubeApiserver, portBlock('00000001').kubeApiserver);
  assert.is(Math.abs((seen[1] ?? 0) - (seen[0] ?? 0)), portNames.length);
});

test('the next block is used if one port is taken', async () => {
  const ports = await choosePorts('00004321');
  await listening(ports.vault, async () => {
    const others = await choosePorts('00004321');
    assert.is(new Set([...Object.values(ports), ...Object.values(others)]).size, 2 * portNames.length);
  });
});

test('a taken port is reported with its purpose and a command that finds its user', async () => {
  const ports = await choosePorts('00009876');
  await checkPorts(ports);
  await listening(ports.vault, async () => {
    const what = `port ${ports.vault} of vault is taken`;
    await fails(checkPorts(ports), {
      what,
      advice: new RegExp(`ss -ltnp 'sport = :${ports.vault}'`),
      exitCode: 1,
    });
    const advice = new RegExp(`lsof -nP -iTCP:${ports.vault} -sTCP:LISTEN`);
    await onPlatform('darwin', {}, async () => void (await fails(checkPorts(ports), { advice })));
  });
});

test('if listening fails in general, no port is reported as taken', async () => {
  const { listen } = Server.prototype;
  const error = Object.assign(new Error('listen EADDRNOTAVAIL'), { code: 'EADDRNOTAVAIL' });
  Server.prototype.listen = function refuse(this: Server) {
    queueMicrotask(() => this.emit('error', error));
    return this;
  };
  try {
    const what = /^cannot listen on 127\.0\.0\.1:\d+$/;
    for (const attempt of [isFree(20_000), choosePorts('00001234'), checkPorts({ api: 20_000 })])
      await fails(attempt, { what, why: 'listen EADDRNOTAVAIL' });
  } finally {
    Server.prototype.listen = listen;
  }
});

test.run();
