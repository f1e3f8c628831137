import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { askRegistry } from '../../../lib/cluster/images/preflight.ts';
import { fullName, namesHost, serverOf } from '../../../lib/tools/registry/call.ts';

/* A simulated registry on loopback. */

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
type State = { server: Server; host: string; play: (answer: Answer) => string[] };

const test = suite<State>('registry');

test.before.each(async (state) => {
  state.server = createServer();
  await new Promise<void>((resolve) => state.server.listen(0, '127.0.0.1', resolve));
  state.host = `127.0.0.1:${(state.server.address() as AddressInfo).port}`;
  state.play = (answer) => {
    const asked: string[] = [];
    state.server.on('request', (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
    return asked;
  };
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

const ask = (host: string, signal = new AbortController().signal) =>
  askRegistry(`${host}/team/image`, '1.2', signal);

test('the answer for the manifest decides', async ({ host, play }) => {
  let status = 200;
  const asked = play((_, response) => response.writeHead(status).end());
  assert.equal(await ask(host), { kind: 'there' });
  assert.equal(asked, ['HEAD /v2/team/image/manifests/1.2']);
  status = 404;
  assert.equal(await ask(host), { kind: 'absent' });
  for (status of [401, 403]) assert.equal(await ask(host), { kind: 'denied' });
  status = 503;
  assert.equal(await ask(host), { kind: 'unknown', reason: 'it answers 503' });
});

test('no token, or a password prompt, counts as denied', async ({ host, play }) => {
  let challenge = `Bearer realm="http://${host}/token"`;
  play((_, response) => response.writeHead(401, { 'WWW-Authenticate': challenge }).end());
  assert.equal(await ask(host), { kind: 'denied' });
  challenge = 'Basic realm="some"';
  assert.equal(await ask(host), { kind: 'denied' });
});

test('an invalid answer is not interpreted', async ({ host, play, server }) => {
  let text = 'no JSON';
  play((request, response) => {
    if (request.url === '/token') return response.end(text);
    return response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${host}/token"` }).end();
  });
  assert.is((await ask(host)).kind, 'unknown');
  text = '{}';
  assert.is((await ask(host)).kind, 'unknown');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const answer = await ask(host);
  assert.match(answer.kind === 'unknown' ? answer.reason : '', 'ECONNREFUSED');
});

test('a stopped run does not wait for it', async ({ host, play }) => {
  const controller = new AbortController();
  play(() => controller.abort(new Error('stopped')));
  const error = await ask(host, controller.signal).catch((error: Error) => error);
  assert.is((error as Error).message, 'stopped');
});

test('Docker’s and containerd’s names of an image are equal', () => {
  for (const name of ['nginx:1', 'library/nginx:1', 'docker.io/nginx:1', 'docker.io/library/nginx:1'])
    assert.is(fullName(name), 'docker.io/library/nginx:1');
  assert.is(fullName('a/b:1'), 'docker.io/a/b:1');
  assert.is(fullName('localhost:5000/a:1'), 'localhost:5000/a:1');
  assert.equal(['a/b', 'localhost/b', 'ghcr.io/a', 'host:5000/a'].map(namesHost), [false, true, true, true]);
});

test('Docker Hub has its own server, every other registry its name', () => {
  for (const repository of ['nginx', 'hashicorp/vault', 'docker.io/hashicorp/vault'])
    assert.is(serverOf(repository), 'registry-1.docker.io');
  assert.is(serverOf('ghcr.io/a/b/c'), 'ghcr.io');
  assert.is(serverOf('localhost:5000/a'), 'localhost:5000');
});

test.run();
