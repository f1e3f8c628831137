import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { type Answer, failureOf, withVault } from './scripted-vault.ts';

test('a client reads and writes with its token, and another one with another token', () =>
  withVault(
    ({ method }) => (method === 'GET' ? { body: { data: { a: 1 } } } : { status: 204 }),
    async ({ address, calls }) => {
      const client = vaultClient({ address: `${address}/`, token: 'hvs.token' });
      assert.equal(await client.withToken('other').write('sys/x', { a: 'b' }), {});
      assert.equal(await client.read('kv/data/x'), { a: 1 });
      assert.equal(calls, [
        { method: 'POST', path: 'sys/x', token: 'other', body: { a: 'b' } },
        { method: 'GET', path: 'kv/data/x', token: 'hvs.token', body: {} },
      ]);
    },
  ));

test('read returns undefined for a missing path', () =>
  withVault(
    () => undefined,
    async ({ address }) => assert.is(await vaultClient({ address }).read('kv/data/x'), undefined),
  ));

for (const [name, answer, what, why, advice] of [
  [
    'a sealed Vault is named as such, with advice',
    { status: 503, body: { errors: ['Vault is sealed'] } },
    ...['Vault at ADDRESS is sealed', 'GET x: Vault is sealed', 'init-vault'],
  ],
  [
    'a refusal names method, path and Vault’s own text on one line',
    { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } },
    ...['Vault refused GET x with HTTP 403', '1 error occurred: * permission denied', 'token'],
  ],
  [
    'an error without Vault’s form still names the status',
    { status: 502, text: '<html>Bad Gateway</html>' },
    ...['Vault refused GET x with HTTP 502', 'HTTP 502', ''],
  ],
  [
    'an answer that is not JSON is refused without showing it',
    { text: '{"data": {"password": "hunter22' },
    ...["the answer of ADDRESS to GET x is not Vault's", 'HTTP 200 without a JSON object', 'address'],
  ],
  [
    'a redirect is not followed, so that the token goes nowhere else',
    { status: 307, location: 'http://10.0.0.9:8200/v1/x' },
    ...['Vault at ADDRESS is not the active node', 'GET x: it points to http://10.0.0.9:8200', 'active'],
  ],
] as [string, Answer, string, string, string][]) {
  test(name, () =>
    withVault(
      () => answer,
      async ({ address, calls }) => {
        const failure = await failureOf(vaultClient({ address, token: 't' }).read('x'));
        assert.equal([failure.what, failure.why], [what.replace('ADDRESS', address), why]);
        assert.match(failure.advice, advice);
        assert.is(calls.length, 1);
      },
    ),
  );
}

test('an error shows neither the token nor a secret of the request, even if one contains the other', () =>
  withVault(
    () => ({ status: 400, body: { errors: ['bad value hunter22 for hvs.token, not hunt'] } }),
    async ({ address }) => {
      const client = vaultClient({ address, token: 'hvs.token' });
      const failure = await failureOf(
        client.write('kv/data/x', { p: 'hunter22' }, { secrets: ['hunt', 'hunter22', '', 'a'] }),
      );
      assert.is(failure.why, 'bad value *** for ***, not ***');
    },
  ));

for (const answer of [
  { status: 404, text: '<html>not here</html>' },
  { status: 404, text: '' },
  { status: 404, body: {} },
  { status: 200, text: '<html>welcome</html>' },
  { status: 200, text: '' },
  { body: {} },
  { body: { data: null } },
]) {
  test(`only Vault says that something is missing: ${JSON.stringify(answer)}`, () =>
    withVault(
      () => answer,
      async ({ address }) => {
        const failure = await failureOf(vaultClient({ address }).read('sys/auth'));
        assert.is(failure.what, `the answer of ${address} to GET sys/auth is not Vault's`);
      },
    ));
}

test('without a listener, the error is "cannot be reached" with reason and advice', async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  await new Promise((resolve) => {
    server.close(resolve);
  });
  const failure = await failureOf(vaultClient({ address: `http://127.0.0.1:${port}` }).read('sys/mounts'));
  assert.is(failure.what, `Vault at http://127.0.0.1:${port} cannot be reached`);
  assert.is(failure.why, `GET sys/mounts: connect ECONNREFUSED 127.0.0.1:${port}`);
  assert.match(failure.advice, 'start-k8s');
});

test('a server that does not answer fails after the timeout', () =>
  withVault(
    () => 'silent',
    async ({ address }) => {
      const failure = await failureOf(vaultClient({ address, timeoutMs: 30 }).read('x'));
      assert.is(failure.why, 'GET x: no answer within 0.03 s');
    },
  ));

test('an aborted run ends the call with the reason of the run', async () => {
  const controller = new AbortController();
  await withVault(
    () => {
      controller.abort(new Error('stopped'));
      return 'silent';
    },
    async ({ address }) => {
      const { what } = await failureOf(vaultClient({ address, signal: controller.signal }).read('x'));
      assert.is(what, 'not a TaskError: Error: stopped');
    },
  );
});

test.run();
