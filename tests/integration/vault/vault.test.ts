import { spawn } from 'node:child_process';
import { cp, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { type JsonObject, objectOf } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys, replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { lookUpToken, revokeToken } from '../../../lib/vault/api/operator.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { initCommands } from '../../../lib/vault/dry-run.ts';
import { fails } from '../../rig/task-context.ts';
import { realVault } from './real-vault.ts';
import {
  anonymous,
  api,
  asRoot,
  converge,
  database,
  given,
  login,
  operatorClient,
  removeServers,
  replicas,
  settingsOf,
  status,
  vault,
} from './servers.ts';

const operator = 'vault-operator-vault-secrets-operator-controller-manager';

const test = suite('vault, a real server');
/** Of the plain commands. */
const other = await realVault();
test.after(other.remove);
test.after(removeServers);

test('a new Vault is initialised and unsealed, and its keys are stored', async () => {
  assert.equal(await status(), [false, true, false]);
  const input = { replicas, keysPlace: vault.keysPlace };
  const first = await initialiseVault(input);
  assert.equal([first.initialised, first.unsealed], [true, ['vault']]);
  assert.is((await stat(vault.keysPath)).mode & 0o777, 0o600);
  const second = await initialiseVault(input);
  assert.equal([second.initialised, second.unsealed], [false, []]);
  // No token exists yet.
  const [initialized, sealed, unknown] = await status();
  assert.equal([initialized, sealed], [true, false]);
  assert.match(String(unknown), 'permission denied');
});

test('the first run changes every object and revokes the root token, the second changes none', async () => {
  const { root_token: rootToken = '' } = (await readKeys(vault.keysPlace)) ?? {};
  assert.ok(await lookUpToken(anonymous, rootToken));
  const first = await converge();
  assert.ok(first.length >= 16);
  assert.equal(
    first.filter((change) => !change.endsWith(': missing')),
    [],
  );
  assert.not.ok(await lookUpToken(anonymous, rootToken));
  assert.not.match(await readFile(vault.keysPath, 'utf8'), 'root_token');
  assert.is((await stat(vault.keysPath)).mode & 0o777, 0o600);
  // The audit log, too, is for its owner only.
  assert.is((await stat(join(vault.folder, 'audit.log'))).mode & 0o777, 0o600);
  assert.equal(await converge(), []);
  assert.equal(await status(), [true, false, true]);
});

test('the operator’s token is renewed by each run and has only the rights that it needs', async () => {
  const client = await operatorClient();
  const { policies, period, orphan, ttl } = (await client.read('auth/token/lookup-self')) ?? {};
  assert.equal([policies, period, orphan], [['operations'], 2_592_000, true]);
  assert.ok(Number(ttl) > 2_591_000);
  const refused: [string, string, object?][] = [
    ['GET', 'database/creds/app1-back'],
    ['POST', 'auth/token/create', {}],
    ['POST', 'sys/policies/acl/operations', { policy: '' }],
    ['DELETE', 'sys/mounts/kv'],
    ['DELETE', 'sys/auth/kubernetes'],
    ['DELETE', 'kv/metadata/app1/database'],
    ['POST', 'sys/auth/userpass', { type: 'userpass' }],
    ['POST', 'transit/decrypt/vso-client-cache', { ciphertext: 'vault:v1:x' }],
    ['POST', 'transit/keys/vso-client-cache/config', { deletion_allowed: true }],
    ['POST', 'database/rotate-root/postgresql', {}],
    ['GET', 'sys/storage/raft/snapshot'],
  ];
  for (const [method, path, body] of refused)
    await fails(client.request(method, path, body && { body: { ...body } }), { why: /permission denied/ });
});

const loginOfApp1 = () => login('app1-back', 'backend', 'app1-back');

test('app1 logs in with its ServiceAccount and reads only its own parameters', async () => {
  const app = await loginOfApp1();
  const { data } = (await app.read('kv/data/app1/database')) ?? {};
  assert.equal(data, { DB_HOST: 'postgresql.database', DB_PORT: '5432' });
  for (const path of [
    ...['kv/data/app2/database', 'kv/metadata/app1/database', 'sys/mounts', 'cubbyhole/x'],
    ...['database/creds/app2-back', 'database/config/postgresql'],
  ])
    await fails(app.read(path), { why: /permission denied/ });
});

test('app1 gets a login for its database, which is revoked, and its password is in no log', async () => {
  const app = await loginOfApp1();
  const { body } = await app.request('GET', 'database/creds/app1-back');
  assert.is(body.lease_duration, 3600);
  const { username, password } = body.data as { readonly username: string; readonly password: string };
  const as = { user: username, password, database: 'app1' };
  const ask = (sql: string) => database.ask(sql, as);
  assert.equal(await ask('SELECT current_user, rolsuper FROM pg_roles WHERE rolname = session_user'), [
    { current_user: 'app1', rolsuper: false },
  ]);
  await ask('CREATE SCHEMA made; CREATE TABLE made.kept (id int)');
  const until = () => database.ask(`SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = '${username}'`);
  const before = await until();
  await app.write('sys/leases/renew', { lease_id: body.lease_id, increment: 7200 });
  assert.not.equal(await until(), before);
  // A session that still runs when its lease ends.
  const session = await database.session(as);
  await app.write('sys/leases/revoke', { lease_id: body.lease_id, sync: true });
  assert.match(await session.end, 'terminating connection');
  assert.match(String(await ask('SELECT 1').catch(String)), 'password authentication failed');
  const owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'";
  assert.equal(await database.ask(owner, { database: 'app1' }), [{ tableowner: 'app1' }]);
  // The server logs every statement.
  assert.match(database.log(), `CREATE ROLE "${username}" LOGIN PASSWORD 'SCRAM-SHA-256$`);
  assert.not.ok(database.log().includes(password));
});

test('the operator can log in, encrypt and decrypt, and nothing else', async () => {
  const client = await login('vso-transit', 'vault', operator);
  const plaintext = Buffer.from('cached token').toString('base64');
  const encrypted = await client.write('transit/encrypt/vso-client-cache', { plaintext });
  const { ciphertext } = encrypted.body.data as { readonly ciphertext: string };
  const decrypted = await client.write('transit/decrypt/vso-client-cache', { ciphertext });
  assert.equal(decrypted.body.data, { plaintext });
  for (const path of ['transit/keys/vso-client-cache', 'kv/data/app1/database'])
    await fails(client.read(path), { why: /permission denied/ });
});

test('another account, namespace or audience cannot log in', async () => {
  for (const [namespace, name, audience] of [
    ['backend', 'app2-back'],
    ['frontend', 'app1-back'],
    ['backend', 'app1-back', 'kubernetes'],
  ] as const) {
    const refused = login('app1-back', namespace, name, audience);
    await fails(refused, { what: /Vault refused POST auth\/kubernetes\/login/ });
  }
});

test('a new password is written once; one rejected by the database is an error', async () => {
  const old = given.password;
  given.password = 'second-password';
  const what = 'Vault cannot log in to the database `postgresql` as `vault`';
  assert.not.match((await fails(converge(), { what })).why ?? '', /(first|second)-password/);
  await database.ask(`ALTER ROLE vault PASSWORD '${given.password}'`);
  assert.equal(await converge(), ['database/config/postgresql: password']);
  assert.equal(await converge(), []);
  assert.ok(await (await loginOfApp1()).read('database/creds/app1-back'));
  const record = join(vault.folder, 'written.json');
  for (const secret of [old, given.password, api.token])
    assert.not.match(await readFile(record, 'utf8'), secret);
  assert.is((await stat(record)).mode & 0o777, 0o600);
  await writeFile(record, '{"damaged');
  const unrecorded = ['auth/kubernetes/config: token_reviewer_jwt', 'database/config/postgresql: password'];
  assert.equal(await converge(), unrecorded);
});

test('only manual changes are corrected', async () => {
  const client = await operatorClient();
  await client.write('sys/policies/acl/app1-back', { policy: 'path "kv/*" { capabilities = ["read"] }' });
  const role = { token_ttl: '2h', token_policies: ['app1-back', 'extra'], token_no_default_policy: false };
  await client.write('auth/kubernetes/role/app1-back', role);
  await client.write('sys/mounts/kv/tune', { description: 'by hand', max_lease_ttl: '1h' });
  await client.write('kv/data/app1/database', { data: { DB_HOST: 'elsewhere' } });
  await client.request('DELETE', 'auth/kubernetes/role/vso-transit');
  await client.write('database/roles/app1-back', { db_name: 'postgresql', max_ttl: '48h' });
  await client.write('database/config/postgresql', { allowed_roles: ['*'] });
  await client.request('DELETE', 'sys/audit/file');
  const audit = { type: 'file', options: { file_path: join(vault.folder, 'by-hand.log') } };
  await client.write('sys/audit/file', audit);
  const policy = `${given.state.operator.policy.text}\npath "secret/*" { capabilities = ["read"] }`;
  await asRoot((client) => client.write('sys/policies/acl/operations', { policy }));
  assert.equal(await status(), [true, false, false]);
  assert.equal(await converge(), [
    'file/: description, file',
    'operations: text',
    'app1-back: text',
    'kv/: description, maxTtl',
    'auth/kubernetes/role/vso-transit: missing',
    'auth/kubernetes/role/app1-back: token_policies, token_no_default_policy, token_ttl',
    'database/roles/app1-back: max_ttl',
    'kv/app1/database: DB_HOST, DB_PORT',
    'database/config/postgresql: roles',
  ]);
  assert.equal(await converge(), []);
});

test('a lost, revoked or other token is replaced and revoked, and no root token is left, even of a killed run', async () => {
  const { keysPlace } = vault;
  const kept = await readKeys(keysPlace);
  if (kept?.admin_token === undefined) throw new Error('no token');
  await replaceKeys(keysPlace, { unseal_keys_b64: kept.unseal_keys_b64 });
  assert.equal(await converge(), ['operations: missing']);
  await revokeToken(anonymous, (await readKeys(keysPlace))?.admin_token ?? '');
  assert.equal(await converge(), ['operations: no longer valid']);
  const create = async (token: JsonObject) => {
    let created: unknown;
    await asRoot(async (client) => {
      created = objectOf((await client.write('auth/token/create-orphan', token)).body.auth)?.client_token;
    });
    return String(created);
  };
  const operations = { policies: ['operations'], no_default_policy: true, period: '720h' };
  for (const other of [
    { ...operations, policies: ['operations', 'app1-back'] },
    { ...operations, period: '1h' },
    { policies: ['root'] },
  ]) {
    const admin_token = await create(other);
    await replaceKeys(keysPlace, { ...kept, admin_token });
    assert.equal(await converge(), ['operations: no longer valid']);
    assert.is(await lookUpToken(anonymous, admin_token), undefined);
  }
  const now = await readKeys(keysPlace);
  assert.ok(now);
  const root_token = await create({ policies: ['root'] });
  await replaceKeys(keysPlace, { ...now, root_token });
  assert.equal(await converge(), []);
  assert.equal([await lookUpToken(anonymous, root_token), await readKeys(keysPlace)], [undefined, now]);
  await asRoot(async (client) => {
    const { keys } = (await client.read('auth/token/accessors?list=true')) as { keys: string[] };
    const look = (accessor: string) => client.write('auth/token/lookup-accessor', { accessor });
    const found = (await Promise.all(keys.map(look))).map(({ body }) => objectOf(body.data)?.policies);
    assert.is(found.filter((policies) => String(policies).includes('root')).length, 1, 'the one that asks');
  });
});

test('an entry adds an application; without it only its secrets stay', async () => {
  const folder = join(vault.folder, 'state');
  await cp(join(root, 'vault'), folder, { recursive: true });
  const file = join(folder, 'state.yaml');
  const rights = 'backend: app3-back, namespace: backend, database: app1';
  const entry = `  app3: { ${rights}, secrets: { more: { DB_HOST: { setting: database.host } } } }\n`;
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^applications:\n/m, `$&${entry}`));
  const before = given.state;
  given.state = await loadDesiredState(folder);
  assert.equal(await converge(), [
    'app3-back: missing',
    'auth/kubernetes/role/app3-back: missing',
    'database/roles/app3-back: missing',
    'kv/app3/more: missing',
    'database/config/postgresql: roles',
  ]);
  const loginOfApp3 = () => login('app3-back', 'backend', 'app3-back');
  const app = await loginOfApp3();
  assert.ok(await app.read('database/creds/app3-back'));
  assert.ok(await app.read('kv/data/app3/more'));

  assert.equal(await status(), [true, false, true]);
  given.state = before;
  assert.equal(await status(), [true, false, false]);
  for (const name of ['by-hand', 'by/hand'])
    await asRoot((client) => client.write(`sys/policies/acl/${name}`, { policy: '# mine' }));
  // As in a restored Vault: with the connection of an earlier database, which cannot end the logins.
  await (await operatorClient()).write('database/config/postgresql', {
    ...{ plugin_name: 'postgresql-database-plugin', allowed_roles: ['*'], verify_connection: false },
    connection_url: 'postgresql://{{username}}:{{password}}@127.0.0.1:1/postgres',
  });
  assert.equal(await converge(), [
    'database/config/postgresql: roles, url',
    'app3-back: no longer declared: removed',
  ]);
  await fails(loginOfApp3(), { why: /invalid role name/ });
  await fails(app.read('kv/data/app3/more'), { why: /permission denied/ });
  assert.equal(await database.ask("SELECT FROM pg_roles WHERE rolname LIKE '%app3-bac%'"), []);
  const client = await operatorClient();
  for (const kept of ['kv/data/app3/more', 'sys/policies/acl/by-hand'])
    assert.ok(await client.read(kept), kept);
  assert.equal(await converge(), []);
});

test('foreign keys are an error, and the right ones still unseal it', async () => {
  const { keysPath, keysPlace } = vault;
  const input = { replicas, keysPlace };
  // In an emergency, the token may seal Vault.
  await (await operatorClient()).request('PUT', 'sys/seal');
  assert.equal(await status(), [true, true, false]);
  await rename(keysPath, `${keysPath}.safe`);
  const foreign = { unseal_keys_b64: [Buffer.alloc(32, 1).toString('base64')], root_token: 'hvs.foreign' };
  await writeFile(keysPath, JSON.stringify(foreign));
  await fails(initialiseVault(input), {
    what: new RegExp(`stays sealed: the keys of ${keysPath} do not open it`),
    why: /message authentication failed/,
  });
  await rename(`${keysPath}.safe`, keysPath);
  assert.equal([await unsealVault(input), await unsealVault(input)], ['changed', 'unchanged']);
});

test('the plain commands of the dry run configure another Vault in the same way', async () => {
  await other.start();
  const { folder, keysPath, address, identity, authorityFile } = other;
  await mkdir(join(folder, 'keys'));
  const read = join(folder, 'ca.crt');
  // Instead of sops with the project's key, which is not tested here.
  await writeFile(join(folder, 'sops'), `#!/bin/sh\nprintf %s ${given.password}\n`, { mode: 0o755 });
  const commands = initCommands({
    ...{ state: given.state, environment: 'development', address, keysPath },
    // Another issuer's authority is read before Vault is called.
    trust: {
      ...{ file: relative(root, read), serverName: identity.name },
      write: `cp ${authorityFile} ${read}`,
    },
    settings: settingsOf(other),
    databaseAuthorityFile: database.authorityFile,
    kubernetes: {
      ...{ host: api.address, caCertificateFile: api.authority },
      reviewerTokenCommand: `printf %s ${api.token}`,
    },
  }).join('\n');
  assert.not.match(commands, given.password);
  const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder };
  const paste = (flags: string) => ended(spawn('sh', [flags, commands], { cwd: root, env }));
  const { exitCode, stderr } = await paste('-euc');
  assert.is(exitCode, 0, stderr);
  assert.is((await stat(keysPath)).mode & 0o777, 0o600);
  assert.not.match(await readFile(keysPath, 'utf8'), 'root_token');
  // Pasted again, where vault has a token: the operator's is not revoked.
  await writeFile(join(folder, '.vault-token'), String((await readKeys(other.keysPlace))?.admin_token));
  assert.match((await paste('-uc')).stderr, /path is already in use/);
  // Only the record of values that Vault does not show is missing, since no command writes it.
  assert.equal(await converge(other), [
    'auth/kubernetes/config: token_reviewer_jwt',
    'database/config/postgresql: password',
  ]);
});

test.run();
