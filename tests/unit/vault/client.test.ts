import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { type VaultClientInput, vaultClient } from '../../../lib/vault/api/client.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { type Answer, refused, scriptedVault } from './scripted-vault.ts';

/** How reading `x` fails at a server that always answers so. */
async function failureAt(answer: Answer, input: Omit<VaultClientInput, 'address'> = { token: 't' }) {
  const { address, calls } = await scriptedVault(() => answer);
  const { what, why, advice, message } = await failureOf(vaultClient({ address, ...input }).read('x'));
  return { what: what?.replace(address, 'ADDRESS'), why, advice, message, calls: calls.length };
}

const redirect: Answer = { status: 307, location: 'http://10.0.0.9:8200/v1/x' };
const denied = '1 error occurred:\n\t* permission denied\n\n';

test('an error has Vault’s text on one line, and advice; an answer of others is not shown, a redirect not followed', async () => {
  for (const [answer, what, why, advice] of [
    [refused(503, 'Vault is sealed'), 'Vault at ADDRESS is sealed', 'GET x: Vault is sealed', 'init-vault'],
    [
      ...[refused(403, denied), 'Vault refused GET x with HTTP 403'],
      ...['1 error occurred: * permission denied', 'token'],
    ],
    [
      ...[{ status: 502, text: '<html>Bad Gateway</html>' }, 'Vault refused GET x with HTTP 502'],
      ...['HTTP 502', 'log of Vault'],
    ],
    [
      ...[{ text: '{"data": {"password": "hunter22' }, "the answer of ADDRESS to GET x is not Vault's"],
      ...['HTTP 200 without a JSON object', 'address'],
    ],
    // The token goes nowhere else.
    [
      ...[redirect, 'Vault at ADDRESS is not the active node'],
      ...['GET x: it points to http://10.0.0.9:8200', 'active'],
    ],
  ] as [Answer, string, string, string][]) {
    const failure = await failureAt(answer);
    assert.equal([failure.what, failure.why, failure.calls], [what, why, 1]);
    assert.match(failure.advice, advice);
  }
});

test('an error shows neither the token nor a secret of the request, even if one contains the other', async () => {
  const { address } = await scriptedVault(() => refused(400, 'bad value hunter22 for hvs.token, not hunt'));
  const client = vaultClient({ address, token: 'hvs.token' });
  const secrets = ['hunt', 'hunter22', '', 'a'];
  const writing = client.write('kv/data/x', { p: 'hunter22' }, { secrets });
  await fails(writing, { why: 'bad value *** for ***, not ***' });
});

test('only Vault says that something is missing', async () => {
  for (const answer of [
    ...[404, 200].flatMap((status) => ['<html>', ''].map((text) => ({ status, text }))),
    ...[{ status: 404, body: {} }, { body: {} }, { body: { data: null } }],
  ])
    assert.is((await failureAt(answer)).what, "the answer of ADDRESS to GET x is not Vault's");
});

test('without a listener, the error is "cannot be reached" with reason and advice', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  await fails(vaultClient({ address: `http://${address}` }).read('sys/mounts'), {
    what: `Vault at http://${address} cannot be reached`,
    why: `GET sys/mounts: connect ECONNREFUSED ${address}`,
    advice: /start-k8s/,
  });
});

test('a server that does not answer fails after the timeout, or with the reason of an aborted run', async () => {
  assert.is((await failureAt('silent', { timeoutMs: 30 })).why, 'GET x: no answer within 0.03 s');
  const signal = AbortSignal.abort(new Error('stopped'));
  assert.is((await failureAt('silent', { signal })).message, 'stopped');
});

test.run();
