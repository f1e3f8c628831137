import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { leftovers } from '../../rig/leftovers.ts';
import { failureOf } from './scripted-vault.ts';

const project = fileURLToPath(new URL('../../../vault', import.meta.url));

const valid = `
operator: { policy: operations, period: 2d }
audit:
  file: { type: file, description: log, file: { setting: vault.auditLog } }
mounts:
  kv: { type: kv, version: 2, description: parameters, maxTtl: 1h30m }
  transit: { type: transit, description: encryption, keys: { cache: { type: aes256-gcm96 } } }
  db:
    type: database
    description: logins
    connections:
      pg:
        plugin: p
        url: 'db://{{username}}:{{password}}@host'
        username: vault
        password: { file: database.yaml, key: vaultPassword }
        passwordAuthentication: scram-sha-256
        maxOpenConnections: 4
auth:
  kubernetes:
    type: kubernetes
    description: accounts
    roles:
      one: { serviceAccounts: [one], namespaces: [a, b], audience: vault, policies: [one], ttl: 2h }
applications:
  app:
    backend: app-back
    namespace: backend
    database: app
    secrets:
      database:
        DB_HOST: { setting: database.host }
        DB_PASSWORD: { file: database.yaml, key: password }
access:
  auth: kubernetes
  audience: vault
  tokenTtl: 1h
  secrets: kv
  policy: policy.hcl
  database:
    { mount: db, connection: pg, policy: database.hcl, create: create.sql, renew: renew.sql, revoke: revoke.sql, ttl: 1h, maxTtl: 2h }
`;

const files = {
  'policies/one.hcl': 'path "x" {}',
  'policies/operations.hcl': 'path "y" {}',
  'policy.hcl': `# Of the application \${application}; written by init-vault\npath "kv/data/\${application}/*" {}\n`,
  'database.hcl': `path "db/creds/\${backend}" {}\n`,
  'create.sql': `-- a comment; with a semicolon\nCREATE ROLE "{{name}}"\n  IN ROLE "\${database}";\nALTER ROLE "{{name}}" SET role = '\${database}';\n`,
  'renew.sql': 'ALTER ROLE "{{name}}";\n',
  'revoke.sql': 'DROP ROLE "{{name}}";\n',
};

const test = suite<{ folder: string }>('vault/state');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-state-'));
  await mkdir(join(context.folder, 'policies'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(context.folder, name), text);
});
test.after.each(async ({ folder }) => {
  await rm(folder, { recursive: true });
});

/** Loads the valid state with the value at the dotted place (separated by spaces) replaced. */
async function loadWith(folder: string, place: string, value: unknown) {
  const state = parse(valid);
  const keys = place.split(' ');
  const last = keys.pop() ?? '';
  const map = keys.reduce((inner, key) => inner[key], state);
  if (value === undefined) delete map[last];
  else map[last] = value;
  await writeFile(join(folder, 'state.yaml'), stringify(state));
  return loadDesiredState(folder);
}

test('the project’s own state loads and names only existing policies and engines', async () => {
  const state = await loadDesiredState(project);
  assert.equal(
    state.mounts.map(({ path, type, version }) => [path, type, version]),
    [
      ['kv', 'kv', 2],
      ['transit', 'transit', undefined],
      ['database', 'database', undefined],
    ],
  );
  assert.equal(
    state.auth[0]?.roles.map(({ name, serviceAccounts, namespaces, audience, policies, ttl }) => [
      ...[name, ...serviceAccounts, ...namespaces, audience, ...policies, ttl],
    ]),
    [
      [
        'vso-transit',
        'vault-operator-vault-secrets-operator-controller-manager',
        ...['vault', 'vault', 'vso-transit', 3600],
      ],
      ['app1-back', 'app1-back', 'backend', 'vault', 'app1-back', 3600],
    ],
  );
  assert.equal(
    state.policies.map(({ name }) => name),
    ['vso-transit', 'app1-back'],
  );
  assert.is(state.operator.policy.name, 'operations');
});

test('one entry of an application gives its policy, role, login and secrets', async ({ folder }) => {
  const entry = { backend: 'other-back', namespace: 'elsewhere', database: 'other' };
  const state = await loadWith(folder, 'applications other', entry);
  const policy = state.policies.find(({ name }) => name === 'other-back');
  assert.is(
    policy?.text,
    '# Of the application other; written by init-vault\npath "kv/data/other/*" {}\npath "db/creds/other-back" {}\n',
  );
  assert.equal(state.auth[0]?.roles.at(-1), {
    ...{ name: 'other-back', serviceAccounts: ['other-back'], namespaces: ['elsewhere'] },
    ...{ audience: 'vault', policies: ['other-back'], ttl: 3600 },
  });
  assert.equal(state.mounts[2]?.logins.at(-1), {
    ...{ name: 'other-back', connection: 'pg', ttl: 3600, maxTtl: 7200 },
    create: ['CREATE ROLE "{{name}}" IN ROLE "other"', 'ALTER ROLE "{{name}}" SET role = \'other\''],
    renew: ['ALTER ROLE "{{name}}"'],
    revoke: ['DROP ROLE "{{name}}"'],
  });
  assert.equal(
    state.keyValues.map(({ mount, path, values }) => [mount, path, values.length]),
    [['kv', 'app/database', 2]],
  );
});

test('an application without a database gets no login and no right to one', async ({ folder }) => {
  const state = await loadWith(folder, 'applications app database', undefined);
  assert.equal(state.mounts[2]?.logins, []);
  assert.not.match(state.policies.at(-1)?.text ?? '', 'db/creds');
});

test('a template with an unknown name or without its first line is an error', async ({ folder }) => {
  await writeFile(join(folder, 'create.sql'), `CREATE ROLE \${owner};`);
  assert.match((await failureOf(loadWith(folder, 'operator period', '1d'))).what, `uses \${owner}`);
  await writeFile(join(folder, 'create.sql'), files['create.sql']);
  await writeFile(join(folder, 'policy.hcl'), 'path "x" {}');
  assert.match(
    (await failureOf(loadWith(folder, 'operator period', '1d'))).advice,
    'begin with: # Of the app',
  );
});

test('a statement with Windows line ends is refused, and leftovers of editors are ignored', async ({
  folder,
}) => {
  for (const name of leftovers('vso.hcl')) await writeFile(join(folder, 'policies', name), 'not a policy {');
  await loadWith(folder, 'operator period', '1d');
  await writeFile(join(folder, 'create.sql'), files['create.sql'].replaceAll('\n', '\r\n'));
  const { what } = await failureOf(loadWith(folder, 'operator period', '1d'));
  assert.match(what, /create\.sql with Windows line ends$/);
});

test('durations are read in seconds', async ({ folder }) => {
  const state = await loadWith(folder, 'auth kubernetes maxTtl', '1d2h');
  assert.is(state.mounts[0]?.maxTtl, 5400);
  assert.is(state.auth[0]?.maxTtl, 93_600);
  assert.is(state.auth[0]?.roles[0]?.ttl, 7200);
});

test('tokens of applications live no longer than their auth method allows', async ({ folder }) => {
  const state = await loadWith(folder, 'access database ttl', '2h');
  assert.is(state.mounts.find(({ path }) => path === 'db')?.logins[0]?.ttl, 7200);
  await loadWith(folder, 'mounts db maxTtl', '2h');
  const method = { type: 'kubernetes', description: 'accounts' };
  await loadWith(folder, 'auth kubernetes', { ...method, maxTtl: '1h' });
  const { what } = await failureOf(loadWith(folder, 'auth kubernetes', { ...method, maxTtl: '59m' }));
  assert.is(
    what.replace(folder, '').replace(/:\d+/, ''),
    '`access.tokenTtl` in /state.yaml must not be longer than `auth.kubernetes.maxTtl`',
  );
});

const wrong: [string, string, unknown, string][] = [
  ['an unknown key at the top', 'mount', {}, 'unknown key `mount` in FILE'],
  ['an unknown key of an engine', 'mounts kv typ', 'kv', 'unknown key `mounts.kv.typ` in FILE'],
  [
    'an unknown key of a role',
    'auth kubernetes roles one ttls',
    '1h',
    'unknown key `auth.kubernetes.roles.one.ttls` in FILE',
  ],
  [
    'an unknown key of a reference',
    'applications app secrets database DB_HOST default',
    'x',
    '`applications.app.secrets.database.DB_HOST` in FILE must be {setting: name} or {file: name, key: name}, never the value itself',
  ],
  [
    'a missing type',
    'mounts kv type',
    undefined,
    '`mounts.kv.type` in FILE must be a text that is not empty',
  ],
  [
    'a kv engine of version 1',
    'mounts kv version',
    1,
    '`mounts.kv.version` in FILE must be 2, the only one supported',
  ],
  [
    'a kv engine without a version',
    'mounts kv version',
    undefined,
    '`mounts.kv.version` in FILE must be 2, the only one supported',
  ],
  [
    'a version of another engine',
    'mounts transit version',
    2,
    '`mounts.transit.version` in FILE is only possible with type kv',
  ],
  [
    'keys of another engine',
    'mounts kv keys',
    {},
    '`mounts.kv.keys` in FILE is only possible with type transit',
  ],
  [
    'another auth type',
    'auth kubernetes type',
    'ldap',
    '`auth.kubernetes.type` in FILE must be kubernetes, the only one supported',
  ],
  [
    'a duration without a unit',
    'auth kubernetes roles one ttl',
    3600,
    '`auth.kubernetes.roles.one.ttl` in FILE must be a duration such as 30m, 1h or 7d',
  ],
  [
    'no time at all',
    'access tokenTtl',
    '0s',
    '`access.tokenTtl` in FILE must be a duration such as 30m, 1h or 7d',
  ],
  [
    'a login that lives longer than its longest time',
    'access database ttl',
    '2h1s',
    '`access.database.ttl` in FILE must not be longer than `access.database.maxTtl`',
  ],
  [
    'a login that lives longer than its engine lets it',
    'mounts db maxTtl',
    '90m',
    '`access.database.maxTtl` in FILE must not be longer than `mounts.db.maxTtl`',
  ],
  [
    'a token that lives longer than its method lets it',
    'auth kubernetes maxTtl',
    '119m',
    '`auth.kubernetes.roles.one.ttl` in FILE must not be longer than `auth.kubernetes.maxTtl`',
  ],
  [
    'a role without namespaces',
    'auth kubernetes roles one namespaces',
    [],
    '`auth.kubernetes.roles.one.namespaces` in FILE must be a list of texts that is not empty',
  ],
  [
    'a policy that is not there',
    'auth kubernetes roles one policies',
    ['two'],
    '`auth.kubernetes.roles.one.policies` in FILE names `two`, but there is no policies/two.hcl for it',
  ],
  ['an unknown operator', 'operator policy', 'none', '`operator.policy` in FILE names no file of policies/'],
  ['no operator', 'operator', undefined, '`operator` in FILE must be a map'],
  [
    'another audit device',
    'audit file type',
    'socket',
    '`audit.file.type` in FILE must be file, the only one supported',
  ],
  [
    'connections of another engine',
    'mounts kv connections',
    {},
    '`mounts.kv.connections` in FILE is only possible with type database',
  ],
  [
    'a password in the URL',
    'mounts db connections pg url',
    'db://vault:hunter22@host',
    '`mounts.db.connections.pg.url` in FILE must be a URL with {{username}}:{{password}} before the host',
  ],
  [
    'a password from the settings',
    'mounts db connections pg password',
    { setting: 'database.password' },
    'unknown key `mounts.db.connections.pg.password.setting` in FILE',
  ],
  [
    'a password beside its URL',
    'mounts db connections pg password',
    'hunter22',
    '`mounts.db.connections.pg.password` in FILE must be {file: name, key: name}, never the value itself',
  ],
  ['no way in', 'access auth', 'ldap', '`access.auth` in FILE is not a method of `auth`'],
  [
    'secrets outside of the kv engines',
    'access secrets',
    'db',
    '`access.secrets` in FILE is not a kv engine of `mounts`',
  ],
  [
    'logins of no database engine',
    'access database mount',
    'kv',
    '`access.database.mount` in FILE is not a database engine of `mounts`',
  ],
  [
    'an unknown connection',
    'access database connection',
    'my',
    '`access.database.connection` in FILE is not a connection of `mounts.db`',
  ],
  [
    'a name that would end a quotation',
    'applications app database',
    'app"; DROP',
    '`applications.app.database` in FILE must be a name of a-z, 0-9, - and _',
  ],
  [
    'a name that is taken',
    'applications app backend',
    'operations',
    '`applications.app.backend` in FILE is `operations`, which is already taken',
  ],
  [
    'a setting and a file at once',
    'applications app secrets database DB_HOST',
    { setting: 'a', file: 'b' },
    '`applications.app.secrets.database.DB_HOST` in FILE must be {setting: name} or {file: name, key: name}, never the value itself',
  ],
  [
    'a file without a key',
    'applications app secrets database DB_HOST',
    { file: 'b' },
    '`applications.app.secrets.database.DB_HOST` in FILE must be {setting: name} or {file: name, key: name}, never the value itself',
  ],
  ...['app/db', 'a b', '0', 'sops'].map((key): [string, string, unknown, string] => [
    `the key ${key}, which settings may not name either,`,
    'applications app secrets database DB_HOST',
    { file: 'database.yaml', key },
    '`applications.app.secrets.database.DB_HOST` in FILE must be a YAML file of secrets/ and a key of its first level',
  ]),
  ['a list where a map belongs', 'mounts', [], '`mounts` in FILE must be a map'],
];

for (const [name, place, value, message] of wrong) {
  test(`${name} is an error that names key and file`, async ({ folder }) => {
    const failure = await failureOf(loadWith(folder, place, value));
    const file = join(folder, 'state.yaml');
    assert.match(failure.what, new RegExp(`${file}:\\d+`));
    assert.is(failure.what.replace(/(state\.yaml):\d+/, '$1'), message.replace('FILE', file));
  });
}

test('a nearly right key gets a suggestion', async ({ folder }) => {
  assert.is((await failureOf(loadWith(folder, 'mounts kv typ', 'kv'))).advice, 'Did you mean `type`?');
});

test('a password in the file is refused and not shown', async ({ folder }) => {
  const failure = await failureOf(
    loadWith(folder, 'applications app secrets database DB_PASSWORD', 'hunter22'),
  );
  assert.match(failure.what, 'must be {setting: name} or {file: name, key: name}, never the value itself');
  assert.not.match(JSON.stringify(failure), 'hunter22');
});

test('broken YAML is named with its line', async ({ folder }) => {
  const file = join(folder, 'state.yaml');
  await writeFile(file, 'mounts:\n  kv: { type: kv\n');
  assert.match(
    (await failureOf(loadDesiredState(folder))).what,
    new RegExp(`${file}:\\d+ is not valid YAML`),
  );
});

test('an empty file and a missing file are errors', async ({ folder }) => {
  const file = join(folder, 'state.yaml');
  assert.is(
    (await failureOf(loadDesiredState(folder))).what,
    `the desired state of Vault cannot be read: ${file}`,
  );
  await writeFile(file, '');
  assert.is((await failureOf(loadDesiredState(folder))).what, `${file} must be a map`);
});

test.run();
