import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../lib/ground/poll.ts';
import { freePort } from '../../lib/runner/tests/rig/free-port.ts';
import { findProgram } from '../rig/programs.ts';
import { only, render, type Tree } from './render.ts';
import { temporaryFolder } from './tools.ts';

/* The front's configuration, and which requests a real nginx with it passes on. */

const program = findProgram('NGINX_PATH', 'nginx');
if (program === undefined)
  process.stdout.write('left out: the front in a real nginx (NGINX_PATH, or on PATH)\n');
const suiteTest = suite('nginx of the front');
const test = program === undefined ? suiteTest.skip : suiteTest;

const limitMs = 60_000;

let port = 0;
let nginx: ChildProcess | undefined;
/** nginx keeps its files here instead of in `/tmp`. */
const folder = temporaryFolder();
/** Requests that the backend got, and their ids. */
const reached: string[] = [];
const ids: unknown[] = [];
const backend = createServer((request, response) => {
  reached.push(request.url ?? '');
  ids.push(request.headers['x-request-id']);
  response.setHeader('X-Request-ID', 'of the backend').end('the page');
});

const configuration = async (values: Tree = {}): Promise<string> =>
  only(await render('frontend', { values }), 'ConfigMap').data['nginx.conf'];

/** Spellings of a request for the backend's environment. */
const asking = [
  ...['/api?env', '/api?env=true', '/api?ENV', '/?env', '/?ENV=1', '/api/?env=true', '//api?env'],
  ...['/api?%65nv=true', '/api?e%6Ev=1', '/api?en%76=t', '/api?%65%6E%76=T', '/api?%65%6e%76'],
  ...['/api?x=1&env', '/api?x=1;env=1', '/api?a=b&env=true', '/api?env&env', '/api?env=&env=1', '/api?&env'],
  ...['/%61pi?env', '/x/../api?env', 'http://app.test/api?env', 'http://app.test?env'],
  // nginx cuts $args at the #, but passes on the whole line
  ...['/api#?env', '/api#?env=true', '/api?x=1#&env=true'],
];
const harmless = [
  ...['/env', '/api', '/?a=env', '/api?environment=true', '/?xenv=true', '/?env2=1', '/api?my-env=1'],
  '/api?wait=1s&x=%20',
];

suiteTest('it listens on the addresses of its pods, of either family', async () => {
  const listens = async (podCidr: string) =>
    [...(await configuration({ cluster: { podCidr } })).matchAll(/listen (.+);/g)].map(([, at]) => at);
  assert.equal(await listens('10.244.0.0/16'), ['8080', '8081']);
  assert.equal(await listens('fd00:10:244::/56'), ['[::]:8080', '[::]:8081']);
});

suiteTest('its expression knows every spelling of the parameter env, and no other parameter', async () => {
  const text = await configuration();
  const [, expression = ''] = /"~\*(.+)" 1;/.exec(text) ?? [];
  const asks = (address: string): boolean => new RegExp(expression, 'i').test(address);
  for (const address of asking) assert.ok(asks(address), address);
  for (const address of harmless) assert.not.ok(asks(address), address);
  assert.match(text, /if \(\$asks_for_environment\) \{\s+return 404;/);
});

suiteTest.before(async () => {
  if (program === undefined) return;
  await once(backend.listen(0, '127.0.0.1'), 'listening');
  port = await freePort();
  const text = (await configuration({ cluster: { resolver: '127.0.0.1' } }))
    .replace(/set \$backend "[^"]+"/, `set $backend "127.0.0.1:${(backend.address() as AddressInfo).port}"`)
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('listen 8081', `listen 127.0.0.1:${await freePort()}`)
    .replace('/dev/stdout', '/tmp/access.log')
    .replace('/dev/stderr', '/dev/null')
    .replaceAll(' /tmp/', ` ${folder}/`);
  const file = join(folder, 'nginx.conf');
  await writeFile(file, text);
  // Started by root, its workers run as another user.
  await chmod(dirname(folder), 0o711);
  await chmod(folder, 0o777);
  const log = join(folder, 'error.log');
  const child = spawn(program, ['-p', folder, '-e', log, '-c', file, '-g', 'daemon off;'], {
    stdio: 'ignore',
  });
  nginx = child;
  const isUp = await poll(async () => {
    if (child.exitCode !== null) return false;
    return (await ask('/').catch(() => '')) !== '' || undefined;
  }, limitMs);
  if (!isUp) throw new Error(`nginx did not start: ${await readFile(log, 'utf8')}`);
});

suiteTest.after(async () => {
  if (nginx?.kill('SIGTERM')) await once(nginx, 'exit');
  backend.close();
});
suiteTest.before.each(() => {
  reached.length = 0;
  ids.length = 0;
});

/** Everything that nginx answers to a request until it closes the connection. */
const ask = (target: string, method = 'GET', header = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const headers = `Host: app.test\r\nConnection: close\r\n${header}Content-Length: 0\r\n\r\n`;
    const text = `${method} ${target} HTTP/1.1\r\n${headers}`;
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`no answer to ${text}`)));
    socket.setEncoding('latin1').on('data', (data: string) => {
      answer += data;
    });
    socket.on('close', () => resolve(answer)).on('error', reject);
  });

const get = async (...request: Parameters<typeof ask>): Promise<number> =>
  Number((await ask(...request)).split(' ')[1]);

test('no spelling of the parameter env reaches the backend', async () => {
  for (const target of asking) {
    const status = await get(target);
    assert.ok(status === 404 || status === 400, `${target}: ${status}`);
  }
  for (const method of ['POST', 'HEAD', 'PUT']) assert.is(await get('/api?env', method), 404, method);
  assert.equal(reached, []);
});

test('other parameters are passed on unchanged', async () => {
  for (const target of harmless) assert.is(await get(target), 200, target);
  assert.equal(reached, harmless);
});

test('a restricted path is reached only as the ingress controller spells it', async () => {
  for (const target of [
    ...['/%61dmin', '/admi%6e/users', '//admin', '/./admin', '/x/../admin', '/x/..%2fadmin'],
    ...['/x/%2e%2e/admin', '/admin;x', '/ADMIN', 'http://app.test/%61dmin'],
    ...['/api//internal', '/api/%69nternal?x=1', '/api%2finternal'],
  ])
    assert.is(await get(target), 404, target);
  assert.equal(reached, []);
  const plain = [
    ...['/admin', '/admin/users?x=1', '/admin?x', '/administrator'],
    ...['/api/internal', '/api/internal/%61'],
  ];
  for (const target of plain) assert.is(await get(target), 200, target);
  assert.equal(reached, plain);
});

test('a restricted path without a route of its own gets 404 by the public one', async () => {
  const by = (route: string) => `X-Ingress-Route: ${route}\r\n`;
  for (const target of ['/admin', '/admin/users', '/api/internal?x'])
    assert.is(await get(target, 'GET', by('public')), 404, target);
  assert.equal(reached, []);
  assert.is(await get('/admin', 'GET', by('admin')), 200);
  assert.is(await get('/', 'GET', by('public')), 200);
});

test('callers cannot set the backend’s health', async () => {
  assert.is(await get('/health', 'POST'), 404);
  assert.is(await get('/%68ealth', 'POST'), 404);
  assert.is(await get('/'), 200);
});

test('backend, caller and log get one request id, of the caller or new', async () => {
  const given = 'a0-Z9_.';
  const idOf = (answer: string) => [...answer.matchAll(/^X-Request-ID: (.+)\r$/gm)].map(([, id]) => id);
  for (const sent of ['', given, 'a b', '"},{"', 'a'.repeat(65)]) {
    const answer = await ask('/?token=secret', 'GET', sent && `X-Request-ID: ${sent}\r\n`);
    const [id = '', ...others] = idOf(answer);
    assert.equal([ids.pop(), others], [id, []]);
    if (sent === given) assert.is(id, given);
    else assert.match(id, /^[0-9a-f]{32}$/);
  }
  const headers = 'X-Request-ID: of-404\r\nX-Forwarded-For: 192.0.2.1, "\r\n';
  assert.equal(idOf(await ask('/api?env', 'GET', headers)), ['of-404']);
  const text = await poll(async () => {
    const written = await readFile(join(folder, 'access.log'), 'utf8');
    return written.includes('of-404') ? written.trim() : undefined;
  }, limitMs);
  const lines = String(text)
    .split('\n')
    .map((line) => JSON.parse(line));
  const { time, duration, remote_addr, bytes, ...last } = lines.at(-1);
  assert.ok(Date.parse(time) > 0 && duration >= 0 && bytes > 0);
  assert.equal(last, {
    ...{ request_id: 'of-404', forwarded_for: '192.0.2.1, "', user_agent: '' },
    ...{ method: 'GET', host: 'app.test', path: '/api', status: 404, upstream: '', upstream_duration: '' },
  });
  assert.not.match(String(text), 'secret');
});

suiteTest.run();
