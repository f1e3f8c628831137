import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import type { VaultChange } from '../../../lib/vault/api/converge.ts';
import { operatorToken } from '../../../lib/vault/api/operator.ts';
import { fails } from '../../rig/task-context.ts';
import {
  type Answer,
  data,
  emptyState,
  keep,
  keysPath,
  refused,
  type Script,
  scriptedVault,
  useKeys,
} from './scripted-vault.ts';

const state = emptyState('rights');
const password = 'one-time-password-xyz';
const generated = 'hvs.generated';
const masked = Buffer.from(
  [...Buffer.from(generated)].map((byte, index) => byte ^ (Buffer.from(password)[index] ?? 0)),
)
  .toString('base64')
  .replace(/=+$/, '');

/* What tests/integration/vault does not show on a real server. */

useKeys(test);

type Tokens = { [token: string]: { policies: string[]; period: number } };
const root = { policies: ['root'], period: 0 };
const operations = { policies: ['operations'], period: 60 };

/** A Vault that opens with `a2V5`, with these valid tokens. */
function vaultWith(tokens: Tokens, overrides: Script = () => undefined): Script {
  let policy = 'rights';
  return (call): Answer | undefined => {
    const { method, path, token = '', body } = call;
    const denied = refused(403, 'permission denied');
    const answer = overrides(call);
    if (answer !== undefined) return answer;
    if (path === 'sys/generate-root/attempt')
      return { body: method === 'DELETE' ? undefined : { nonce: 'n', otp: password } };
    if (path === 'sys/generate-root/update') {
      if (body.key !== 'a2V5') return refused(400, `wrong ${body.key}`);
      tokens[generated] = root;
      return { body: { complete: true, encoded_root_token: masked } };
    }
    const known = tokens[token];
    if (known === undefined) return denied;
    switch (path) {
      case 'auth/token/lookup-self':
        return data(known);
      case 'auth/token/renew-self':
        return { body: { auth: {} } };
      case 'auth/token/revoke-self':
        delete tokens[token];
        return { status: 204 };
      case 'auth/token/create-orphan':
        tokens['hvs.new'] = operations;
        return { body: { auth: { client_token: 'hvs.new' } } };
      case 'sys/policies/acl/operations':
        if (method === 'GET') return data({ policy });
        if (known !== root) return denied;
        policy = String(body.policy);
        return { status: 204 };
      default:
        return undefined;
    }
  };
}

const one = { unseal_keys_b64: ['a2V5'] };

/** The outcome with this keys file. */
async function run(keys: object, script: Script) {
  await keep(JSON.stringify(keys));
  const secrets: string[] = [];
  const client = vaultClient({ address: (await scriptedVault(script)).address });
  const secret = (text: string) => secrets.push(text);
  const changes: VaultChange[] = [];
  const onChange = (change: VaultChange) => changes.push(change);
  const token = await operatorToken({ client, keysPath, state, settings: {}, secret, onChange });
  return { token, changes, secrets };
}

const kept = async () => JSON.parse(await readFile(keysPath, 'utf8'));

test('an answer that is not Vault’s says nothing about a token', async () => {
  const keys = { ...one, admin_token: 'hvs.admin' };
  for (const [path, answer] of [
    ['auth/token/lookup-self', { body: {} }],
    ['auth/token/lookup-self', { status: 200, text: '' }],
    ['auth/token/lookup-self', { status: 403, text: '<html>forbidden</html>' }],
    ['sys/generate-root/attempt', { body: {} }],
    ['sys/generate-root/update', { body: {} }],
    ['sys/generate-root/update', { body: { complete: true } }],
  ] as const) {
    const script = vaultWith(path.startsWith('auth') ? { 'hvs.admin': operations } : {}, (call) =>
      call.path === path && call.method !== 'DELETE' ? answer : undefined,
    );
    const what = new RegExp(`^the answer of .* to \\w+ ${path} is not Vault's$`);
    await fails(run(keys, script), { what });
    assert.equal(await kept(), keys);
  }
});

for (const [name, admin] of [
  ['with other rights', { policies: ['operations', 'more'], period: 60 }],
  ['that is a root token', root],
  ['with another period', { policies: ['operations'], period: 30 }],
] as const) {
  test(`a token ${name} is replaced by means of the unseal key, and revoked`, async () => {
    const tokens: Tokens = { 'hvs.admin': { ...admin, policies: [...admin.policies] } };
    const { token, changes, secrets } = await run({ ...one, admin_token: 'hvs.admin' }, vaultWith(tokens));
    assert.equal([token, changes.at(-1)?.difference], ['hvs.new', 'no longer valid']);
    assert.equal(Object.keys(tokens), ['hvs.new']);
    assert.equal(await kept(), { ...one, admin_token: 'hvs.new' });
    for (const secret of [generated, 'hvs.new', 'a2V5']) assert.ok(secrets.includes(secret), secret);
  });
}

test('a root token is revoked: that of a killed run, and even after a failure; the next run continues', async () => {
  const tokens: Tokens = { 'hvs.admin': operations, 'hvs.left': root };
  const keys = { ...one, admin_token: 'hvs.admin' };
  await run({ ...keys, root_token: 'hvs.left' }, vaultWith(tokens));
  assert.equal([Object.keys(tokens), await kept()], [['hvs.admin'], keys]);

  const others: Tokens = { 'hvs.root': root };
  const failing = vaultWith(others, ({ path }) =>
    path === 'auth/token/create-orphan' ? refused(500, 'disk') : undefined,
  );
  await fails(run({ ...one, root_token: 'hvs.root' }, failing), { why: 'disk' });
  assert.equal([others, await kept()], [{}, one]);
  assert.is((await run(one, vaultWith(others))).token, 'hvs.new');
});

test('without keys there is no root token, and the error says who can generate one', async () => {
  const none = run({ admin_token: 'hvs.admin' }, vaultWith({}));
  await fails(none, { why: /the keys are kept elsewhere/, advice: /`vault operator generate-root`/ });
  const foreign = { unseal_keys_b64: ['b3RoZXI='], admin_token: 'hvs.admin' };
  await fails(run(foreign, vaultWith({})), { why: 'wrong ***' });
  // A Vault that generates them for token holders only.
  const closed = vaultWith({}, ({ path, token }) =>
    path.startsWith('sys/generate-root/') && token === undefined
      ? refused(403, 'permission denied')
      : undefined,
  );
  await fails(run(one, closed), { advice: /enable_unauthenticated_access = \["generate-root"\]/ });
});

test.run();
