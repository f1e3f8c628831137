import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { failureOf, withVault } from './scripted-vault.ts';

test('read returns the data and sends the token', () =>
  withVault(
    () => ({ body: { data: { a: 1 } } }),
    async ({ address, calls }) => {
      const client = vaultClient({ address: `${address}/`, token: 'hvs.token' });
      assert.equal(await client.read('kv/data/x'), { a: 1 });
      assert.equal(calls, [{ method: 'GET', path: 'kv/data/x', token: 'hvs.token', body: {} }]);
    },
  ));

test('read returns undefined for a missing path', () =>
  withVault(
    () => undefined,
    async ({ address }) => assert.is(await vaultClient({ address }).read('kv/data/x'), undefined),
  ));

test('write accepts an answer without content', () =>
  withVault(
    () => ({ status: 204 }),
    async ({ address, calls }) => {
      assert.equal(await vaultClient({ address }).write('sys/x', { a: 'b' }), {});
      assert.equal(calls[0]?.body, { a: 'b' });
    },
  ));

test('withToken does not change the first client', () =>
  withVault(
    () => ({ body: { data: {} } }),
    async ({ address, calls }) => {
      const client = vaultClient({ address });
      await client.withToken('other').read('x');
      await client.read('x');
      assert.equal(
        calls.map(({ token }) => token),
        ['other', undefined],
      );
    },
  ));

test('a sealed Vault is named as such, with advice', () =>
  withVault(
    () => ({ status: 503, body: { errors: ['Vault is sealed'] } }),
    async ({ address }) => {
      const failure = await failureOf(vaultClient({ address }).read('sys/mounts'));
      assert.is(failure.what, `Vault at ${address} is sealed`);
      assert.is(failure.why, 'GET sys/mounts: Vault is sealed');
      assert.match(failure.advice, 'init-vault');
    },
  ));

test('a refusal names method, path and Vault’s own text on one line', () =>
  withVault(
    () => ({ status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }),
    async ({ address }) => {
      const failure = await failureOf(vaultClient({ address, token: 't' }).write('sys/mounts/kv', {}));
      assert.is(failure.what, 'Vault refused POST sys/mounts/kv with HTTP 403');
      assert.is(failure.why, '1 error occurred: * permission denied');
      assert.match(failure.advice, 'token');
    },
  ));

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

test('an error without Vault’s form still names the status', () =>
  withVault(
    () => ({ status: 502, text: '<html>Bad Gateway</html>' }),
    async ({ address }) => {
      const failure = await failureOf(vaultClient({ address }).read('x'));
      assert.is(failure.what, 'Vault refused GET x with HTTP 502');
      assert.is(failure.why, 'HTTP 502');
    },
  ));

test('an answer that is not JSON is refused without showing it', () =>
  withVault(
    () => ({ text: '{"data": {"password": "hunter22' }),
    async ({ address }) => {
      const failure = await failureOf(vaultClient({ address }).read('kv/data/x'));
      assert.is(failure.what, `the answer of ${address} to GET kv/data/x is not Vault's`);
      assert.not.match(JSON.stringify(failure), 'hunter22');
      assert.match(failure.advice, 'address');
    },
  ));

test('a redirect is not followed, so that the token goes nowhere else', () =>
  withVault(
    () => ({ status: 307, location: 'http://10.0.0.9:8200/v1/x' }),
    async ({ address, calls }) => {
      const failure = await failureOf(vaultClient({ address, token: 't' }).read('x'));
      assert.is(failure.what, `Vault at ${address} is not the active node`);
      assert.is(failure.why, 'GET x: it points to http://10.0.0.9:8200');
      assert.is(calls.length, 1);
    },
  ));

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
