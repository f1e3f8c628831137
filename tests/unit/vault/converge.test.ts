import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder } from '../../../lib/runner/tests/rig/folder.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { convergeVault, type VaultChange } from '../../../lib/vault/api/converge.ts';
import type { Sources } from '../../../lib/vault/api/key-values.ts';
import type { AuthMount, DesiredState, Mount } from '../../../lib/vault/api/state-schema.ts';
import { differingNames } from '../../../lib/vault/api/vault-object.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import {
  connection,
  data,
  emptyState,
  missing,
  refused,
  type ScriptedVault,
  useKeys,
  vaultWith,
} from './scripted-vault.ts';

/* What tests/integration/vault does not show on a real server. */

const policy = (name: string) => ({ name, files: [`${name}.hcl`], text: 'x' });
const auth: AuthMount = { path: 'kubernetes', type: 'kubernetes', description: 'd', roles: [] };
const none = { version: undefined, maxTtl: undefined, keys: [], connections: [], logins: [] };
const engine: Mount = { ...none, path: 'kv', type: 'kv', version: 2, description: 'd' };
const key = { name: 'cache', type: 'aes256-gcm96' };
const transit: Mount = { ...none, path: 'transit', type: 'transit', description: 'd', keys: [key] };
const password = {
  ...{ mount: 'kv', path: 'app/database' },
  values: [
    { name: 'DB_HOST', from: { setting: 'database.host' } },
    { name: 'DB_PASSWORD', from: { file: 'database.yaml', key: 'password' } },
  ],
};

const issuers = { vault: { password: 'sops://database.yaml#/vaultPassword' } };

useKeys(test);

async function converge(vault: ScriptedVault, state: Partial<DesiredState>, sources: Partial<Sources> = {}) {
  const changes: VaultChange[] = [];
  await convergeVault({
    client: vaultClient({ address: vault.address, token: 't' }),
    state: { ...emptyState(), ...state },
    sources: {
      kubernetes: { host: 'h' },
      settings: { database: { host: 'db', issuers } },
      decrypt: async () => 'hunter22',
      record: join(folder, 'no-record'),
      databaseAuthority: 'ca',
      ...sources,
    },
    onChange: (change) => changes.push(change),
  });
  return changes;
}

/** What came after the search for applications that are no longer declared. */
const calls = (vault: ScriptedVault) =>
  vault.calls.filter(({ path }) => path !== 'sys/policies/acl?list=true');
const writtenTo = (vault: ScriptedVault) => calls(vault).find(({ method }) => method === 'POST')?.body;

const done = { status: 204 };

test('what Vault cannot change in place is an error, and nothing is written', async () => {
  const engines = { 'kv/': { type: 'kv', options: null }, 'other/': { type: 'pki' } };
  const vault = await vaultWith({
    'GET sys/mounts': data({ 'transit/': { type: 'transit', description: 'd' }, ...engines }),
    'GET transit/keys/cache': data({ type: 'rsa-2048' }),
  });
  for (const [mount, what] of [
    [{ ...engine, path: 'other' }, 'secrets engine other/ is pki in Vault, but the desired state says kv'],
    [engine, 'secrets engine kv/ is version 1 in Vault, but the desired state says version 2'],
    [transit, 'transit key transit/keys/cache is rsa-2048 in Vault, but the desired state says aes256-gcm96'],
  ] as const)
    await fails(converge(vault, { mounts: [mount] }), { what: `the ${what}` });
  assert.is(writtenTo(vault), undefined);
});

test('a write without effect is an error, since every run would repeat it', async () => {
  const vault = await vaultWith({
    'GET sys/policies/acl/a': data({ policy: 'other' }),
    'POST sys/policies/acl/a': done,
  });
  const what = 'Vault accepted the policy a, but it still differs from the desired state';
  await fails(converge(vault, { policies: [policy('a')] }), { what, why: 'text' });
});

const storedSecret = (data: object | null, version: number, status = 200) => ({
  ...{ status, body: { data: { data, metadata: { version } } } },
});
const whole = { DB_HOST: 'db', DB_PASSWORD: 'hunter22' };

test('a secret is written for the version that was compared, even a deleted one, and reported by names only', async () => {
  for (const [before, difference, cas] of [
    [storedSecret({ DB_HOST: 'db', DB_PASSWORD: 'old', EXTRA: '1' }, 3), 'DB_PASSWORD, EXTRA', 3],
    [storedSecret(null, 7, 404), 'missing', 7],
  ] as const) {
    const vault = await vaultWith({
      'GET kv/data/app/database': [before, storedSecret(whole, cas + 1)],
      'POST kv/data/app/database': done,
    });
    const decrypted: string[] = [];
    const decrypt = async (file: string) => `hunter${21 + decrypted.push(file)}`;
    const [change] = await converge(vault, { keyValues: [password] }, { decrypt });
    assert.equal([change?.difference, decrypted], [difference, ['database.yaml']]);
    assert.equal(writtenTo(vault), { data: whole, options: { cas } });
  }
});

test('the first error ends the run, such as a concurrent change, and does not show the value', async () => {
  const vault = await vaultWith({
    'POST kv/data/app/database': refused(400, 'check-and-set parameter did not match; got hunter22'),
  });
  const converging = converge(vault, { keyValues: [password, { ...password, path: 'b' }] });
  await fails(converging, { why: 'check-and-set parameter did not match; got ***' });
  assert.is(calls(vault).length, 2);
});

test('a run waits for an engine that Vault still prepares', async () => {
  const upgrading = refused(400, 'Upgrading from non-versioned to versioned data. This backend will …');
  const vault = await vaultWith({
    'GET kv/data/app/database': [upgrading, upgrading, storedSecret(whole, 1)],
  });
  assert.equal(
    (await converge(vault, { keyValues: [password] })).map(({ difference }) => difference),
    [undefined],
  );
  assert.is(calls(vault).length, 3);
});

test('a missing setting is named before anything is written', async () => {
  const vault = await vaultWith({});
  const secret = { ...password, values: [{ name: 'DB_HOST', from: { setting: 'database.hots' } }] };
  const what = "Vault's desired state needs the setting `database.hots`, which is missing";
  await fails(converge(vault, { keyValues: [secret] }), { what });
  assert.is(calls(vault).length, 0);
});

test('a Vault in a pod needs no certificate and no token', async () => {
  const configured = { kubernetes_host: 'h', token_reviewer_jwt_set: false };
  const vault = await vaultWith({
    'GET sys/auth': data({ 'kubernetes/': { type: 'kubernetes', description: 'd' } }),
    'GET auth/kubernetes/config': [missing, data(configured)],
    'POST auth/kubernetes/config': done,
  });
  const [method, config] = await converge(vault, { auth: [auth] });
  assert.equal([method?.difference, config?.difference], [undefined, 'missing']);
});

const database: Mount = { ...none, path: 'db', type: 'database', description: 'd' };

test('a role of the database that no setting declares, or with another secret, is refused at once', async () => {
  const failing = async (issuers: object, changed: object = {}) => {
    const vault = await vaultWith({});
    const mounts = [{ ...database, connections: [{ ...connection, ...changed }] }];
    const sources = {
      settings: { database: { host: 'db', user: 'postgres', issuers } },
      decrypt: () => Promise.reject(new Error('decrypted')),
    };
    const { what, why } = await failureOf(converge(vault, { mounts }, sources));
    return { what, why, asked: vault.calls.length };
  };
  const other = await failing({ vault: { password: 'sops://database.yaml#/other' } });
  assert.match(other.what, 'has the password sops://database.yaml#/vaultPassword');
  assert.match(other.why, '`database.issuers.vault.password` is sops://database.yaml#/other');
  const none = await failing({ vault: null });
  assert.match(none.what, 'logs in as `vault`');
  assert.match(none.why, '`database.issuers.vault`');
  assert.equal([other.asked, none.asked], [0, 0]);
  for (const allowed of [{ username: 'postgres' }, { url: 'db://{{username}}@elsewhere' }])
    assert.ok((await failing({ vault: null }, allowed)).asked > 0);
});

test('lists differ by what is in them, not by their order, which Vault does not keep; statements are in order', () => {
  assert.is(differingNames([['policies', ['b', 'a'], ['a', 'b']]]), undefined);
  const lists = ['policies', ['a'], ['a', 'b']] as const;
  assert.is(differingNames([lists, ['ttl', 60, 60], ['type', 'kv', 'pki']]), 'policies, type');
  const statements = ['creation_statements', ['two', 'one'], ['one', 'two']] as const;
  assert.is(differingNames([statements]), 'creation_statements');
});

test.run();
