import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../../lib/ground/poll.ts';
import { root } from '../../../lib/ground/project.ts';

/* The server of docker/backend, as a process: it replaces traefik/whoami, so it must answer like it. */

const test = suite('docker/backend');

const started: ChildProcess[] = [];

async function start(environment: { [name: string]: string } = {}) {
  const child = spawn(process.execPath, [join(root, 'docker/backend/server.mjs')], {
    // 0: any free port
    env: { WHOAMI_PORT_NUMBER: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  const [line] = await once(child.stdout, 'data');
  return { child, url: `http://127.0.0.1:${/port (\d+)/.exec(String(line))?.[1]}` };
}

test.after(() => {
  for (const child of started) child.kill('SIGKILL');
});

test('shows the request, and its environment only on request', async () => {
  const { url } = await start({ DB_HOST: 'some=host', WHOAMI_NAME: 'app' });
  const api = async (query: string) => JSON.parse(await (await fetch(`${url}/api${query}`)).text());
  const plain = await api('?a=b');
  assert.equal([plain.url, plain.method, plain.name], ['/api?a=b', 'GET', 'app']);
  assert.ok(plain.hostname && plain.ip.includes('127.0.0.1'));
  assert.is(plain.environ, undefined);
  assert.ok((await api('?env=true')).environ.includes('DB_HOST=some=host'));
  assert.ok((await api('?env=1')).environ);
  assert.is((await api('?env=false')).environ, undefined);
  const text = await (await fetch(url)).text();
  assert.match(text, /^Name: app\nHostname: .+\n/);
  assert.not.match(text, 'some=host');
  assert.match(await (await fetch(`${url}/elsewhere`)).text(), 'GET /elsewhere HTTP/1.1');
});

test('answers on /health with the last status it received', async () => {
  const { url } = await start();
  const health = async () => (await fetch(`${url}/health`)).status;
  const set = async (body: string) => (await fetch(`${url}/health`, { method: 'POST', body })).status;
  assert.is(await health(), 200);
  for (const [body, answer, then] of [
    ['503', 200, 503],
    ['nonsense', 400, 503],
    ['200', 200, 200],
  ] as const)
    assert.equal([await set(body), await health()], [answer, then], body);
});

test('SIGTERM: it finishes open requests, accepts no new ones, then ends', async () => {
  const { child, url } = await start();
  const posting = request(`${url}/health`, { method: 'POST' });
  posting.write('5');
  // Its headers are there when another request, sent later, has been answered.
  await new Promise((resolve) => posting.once('socket', (socket) => socket.once('connect', resolve)));
  await fetch(`${url}/health`);
  child.kill('SIGTERM');
  const isRefused = async () => ((await fetch(url).catch(() => undefined)) === undefined ? true : undefined);
  assert.ok(await poll(isRefused, 10_000));
  posting.end('03');
  const [answer] = await once(posting, 'response');
  assert.is(answer.statusCode, 200);
  answer.resume();
  const [exitCode] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  assert.is(exitCode, 0);
  assert.is(answer.headers.connection, 'close', 'nothing keeps it');
});

test.run();
