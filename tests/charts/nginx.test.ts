import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../../lib/runner/tests/rig/free-port.ts';
import { findProgram } from '../rig/find-program.ts';
import { exchange, type Nginx, startNginx } from '../rig/nginx.ts';
import { only, render, type Tree } from './render.ts';

/*
 * The front's configuration in a real nginx, in front of a backend that parses requests like Go and shows its environment.
 */

type State = { backend: Server; nginx: Nginx | undefined; port: number; reached: string[] };

const program = findProgram('NGINX_PATH', 'nginx');
if (program === undefined)
  process.stdout.write('left out: the front in a real nginx, since there is none (NGINX_PATH, or on PATH)\n');
const suiteTest = suite<State>('nginx of the front');
const test = program === undefined ? suiteTest.skip : suiteTest;

/** Like Go's `net/url` and `net/http`: decodes the query, and decodes and cleans the path. */
function shows(url: string): string {
  const [path = '', ...query] = url.split('?');
  const names = query
    .join('?')
    .split(/[&;]/)
    .map((part) => decodeURIComponent((part.split('=')[0] ?? '').replaceAll('+', ' ')));
  if (names.includes('env')) return 'the environment';
  const clean = new URL(decodeURIComponent(path).replace(/\/+/g, '/'), 'http://backend').pathname;
  return /^\/(admin|api\/internal)(?=[/;]|$)/i.exec(clean)?.[1] ?? 'the page';
}

/** The configuration with these values. */
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

suiteTest('the configuration is complete: braces match, no template is left', async () => {
  const text = await configuration();
  const code = text.replace(/"[^"\n]*"|'[^'\n]*'|#.*$/gm, '');
  assert.is(code.split('{').length, code.split('}').length);
  assert.not.match(text, /\{\{|<no value>/);
  assert.match(text, 'set $backend "app-back.backend.svc.cluster.local:80";');
  assert.match(text, /location = \/health \{\s+return 404;/);
});

suiteTest('its expression knows every spelling of the parameter env, and no other parameter', async () => {
  const text = await configuration();
  const [, expression = ''] = /"~\*(.+)" 1;/.exec(text) ?? [];
  const asks = (address: string): boolean => new RegExp(expression, 'i').test(address);
  for (const address of asking) assert.ok(asks(address), address);
  for (const address of harmless) assert.not.ok(asks(address), address);
  assert.match(text, /if \(\$asks_for_environment\) \{\s+return 404;/);
});

suiteTest('the made-up backend reads a request as Go does', () => {
  for (const url of ['/api?env', '/?a=b&%65nv=1', '/api?x;env'])
    assert.is(shows(url), 'the environment', url);
  for (const url of ['/x/..%2fadmin', '//admin', '/%61dmin/users']) assert.is(shows(url), 'admin', url);
  for (const url of ['/', '/administrator', '/api?a=env']) assert.is(shows(url), 'the page', url);
});

suiteTest.before(async (state) => {
  state.reached = [];
  state.backend = createServer((request, response) => {
    state.reached.push(request.url ?? '');
    response.end(shows(request.url ?? ''));
  }).listen(0, '127.0.0.1');
  await once(state.backend, 'listening');
  if (program === undefined) return;
  const { port } = state.backend.address() as AddressInfo;
  state.port = await freePort();
  const text = (await configuration({ cluster: { resolver: '127.0.0.1' } }))
    .replace(/set \$backend "[^"]+"/, `set $backend "127.0.0.1:${port}"`)
    .replace('listen 8080', `listen 127.0.0.1:${state.port}`)
    .replace('listen 8081', `listen 127.0.0.1:${await freePort()}`)
    .replaceAll(/\/dev\/std(?:err|out)/g, '/dev/null');
  state.nginx = await startNginx(program, text, state.port);
});

suiteTest.after(async ({ nginx, backend }) => {
  await nginx?.stop();
  backend.close();
});
suiteTest.before.each(({ reached }) => {
  reached.length = 0;
});

const get = async (
  port: number,
  target: string,
  method = 'GET',
  header = '',
): Promise<[status: number, body: string]> => {
  const answer = await exchange(
    port,
    `${method} ${target} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n${header}Content-Length: 0\r\n\r\n`,
  );
  return [Number(answer.split(' ')[1]), answer.slice(answer.indexOf('\r\n\r\n') + 4)];
};

test('no spelling of the parameter env reaches the backend', async ({ port, reached }) => {
  for (const target of asking) {
    const [status, body] = await get(port, target);
    assert.ok(status === 404 || status === 400, `${target}: ${status}`);
    assert.not.match(body, 'the environment', target);
  }
  for (const method of ['POST', 'HEAD', 'PUT'])
    assert.is((await get(port, '/api?env', method))[0], 404, method);
  assert.equal(reached, []);
});

test('other parameters are passed on unchanged', async ({ port, reached }) => {
  for (const target of harmless) assert.is((await get(port, target))[0], 200, target);
  assert.equal(reached, harmless);
});

test('a restricted path is reached only in the spelling that the ingress controller knows', async ({
  port,
  reached,
}) => {
  const disguised = [
    '/%61dmin',
    '/admi%6e/users',
    '//admin',
    '/./admin',
    '/x/../admin',
    '/x/..%2fadmin',
    '/x/%2e%2e/admin',
    '/admin;x',
    '/ADMIN',
    '/api//internal',
    '/api/%69nternal?x=1',
    '/api%2finternal',
    'http://app.test/%61dmin',
  ];
  for (const target of disguised) {
    const [status, body] = await get(port, target);
    assert.is(status, 404, `${target}: ${body}`);
  }
  assert.equal(reached, []);
  const plain = [
    '/admin',
    '/admin/users?x=1',
    '/admin?x',
    '/api/internal',
    '/api/internal/%61',
    '/administrator',
  ];
  for (const target of plain) assert.is((await get(port, target))[0], 200, target);
  assert.equal(reached, plain);
});

test('a restricted path gets 404 through the public route, as when its own route is missing', async ({
  port,
  reached,
}) => {
  const by = (route: string) => `X-Ingress-Route: ${route}\r\n`;
  for (const target of ['/admin', '/admin/users', '/api/internal?x'])
    assert.is((await get(port, target, 'GET', by('public')))[0], 404, target);
  assert.equal(reached, []);
  assert.is((await get(port, '/admin', 'GET', by('admin')))[0], 200);
  assert.is((await get(port, '/', 'GET', by('public')))[0], 200);
});

test('callers cannot set the backend’s health, and its answer is passed on', async ({ port }) => {
  assert.is((await get(port, '/health', 'POST'))[0], 404);
  assert.is((await get(port, '/%68ealth', 'POST'))[0], 404);
  const [status, body] = await get(port, '/');
  assert.is(status, 200);
  assert.match(body, 'the page');
});

suiteTest.run();
