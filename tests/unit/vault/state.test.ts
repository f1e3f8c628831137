import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { folder, useFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { applications } from '../../rig/applications.ts';
import { leftovers } from '../../rig/leftovers.ts';
import { failureOf } from '../../rig/task-context.ts';

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

const write = (name: string, text: string) => writeFile(join(folder, name), text);

useFolder(test);
test.before.each(async () => {
  await mkdir(join(folder, 'policies'));
  for (const [name, text] of Object.entries(files)) await write(name, text);
});

/** Loads the valid state with the value at the dotted place (separated by spaces) replaced. */
async function loadWith(place: string, value: unknown) {
  const state = parse(valid);
  const keys = place.split(' ');
  const last = keys.pop() ?? '';
  const map = keys.reduce((inner, key) => inner[key], state);
  if (value === undefined) delete map[last];
  else map[last] = value;
  await write('state.yaml', stringify(state));
  return loadDesiredState(folder);
}

test('the project’s own state has each application with secrets from Vault', async () => {
  const { auth } = await loadDesiredState(join(root, 'vault'));
  const backs = applications.flatMap(({ name, secrets }) => (secrets === 'vault' ? [`${name}-back`] : []));
  assert.equal(
    auth[0]?.roles.map(({ name }) => name),
    ['vso-transit', 'vault-backup', ...backs],
  );
});

test('one entry of an application gives its policy, role, login and secrets', async () => {
  const entry = { backend: 'other-back', namespace: 'elsewhere', database: 'other' };
  const state = await loadWith('applications other', entry);
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
    ...{ name: 'other-back', path: 'db/roles/other-back' },
    values: {
      ...{ db_name: 'pg', default_ttl: 3600, max_ttl: 7200 },
      creation_statements: [
        'CREATE ROLE "{{name}}" IN ROLE "other"',
        'ALTER ROLE "{{name}}" SET role = \'other\'',
      ],
      renew_statements: ['ALTER ROLE "{{name}}"'],
      revocation_statements: ['DROP ROLE "{{name}}"'],
    },
  });
  assert.equal(
    state.keyValues.map(({ mount, path, values }) => [mount, path, values.length]),
    [['kv', 'app/database', 2]],
  );
});

test('an application without a database gets no login and no right to one', async () => {
  const state = await loadWith('applications app database', undefined);
  assert.equal(state.mounts[2]?.logins, []);
  assert.not.match(state.policies.at(-1)?.text ?? '', 'db/creds');
});

test('a template with an unknown name, without its first line or with Windows line ends is an error', async () => {
  // What editors leave is ignored.
  for (const name of leftovers('vso.hcl')) await write(join('policies', name), 'not a policy {');
  const failing = async (name: keyof typeof files, text: string) => {
    await write(name, text);
    const failure = await failureOf(loadWith('operator period', '1d'));
    await write(name, files[name]);
    await loadWith('operator period', '1d');
    return failure;
  };
  assert.match((await failing('create.sql', `CREATE ROLE \${owner};`)).what, `uses \${owner}`);
  assert.match((await failing('policy.hcl', 'path "x" {}')).advice, 'begin with: # Of the app');
  const windows = files['create.sql'].replaceAll('\n', '\r\n');
  assert.match((await failing('create.sql', windows)).what, /create\.sql with Windows line ends$/);
});

test('durations are read in seconds', async () => {
  const state = await loadWith('auth kubernetes maxTtl', '1d2h');
  // As long as its engine allows.
  await loadWith('mounts db maxTtl', '2h');
  assert.is(state.mounts[0]?.maxTtl, 5400);
  assert.is(state.auth[0]?.maxTtl, 93_600);
  assert.is(state.auth[0]?.roles[0]?.ttl, 7200);
});

const noLiteral = 'must be {setting: name} or {file: name, key: name}, never the value itself';
const parameter = 'applications app secrets database DB_HOST';
const accounts = { type: 'kubernetes', description: 'accounts' };
const longer = 'must not be longer than `auth.kubernetes.maxTtl`';
const one = 'auth kubernetes roles one';
const pg = 'mounts db connections pg';

/** Where, what is written there, and what the error says: of that place, or with its FILE. */
const wrong: [string, unknown, string][] = [
  ['mounts kv type', undefined, 'must be a text that is not empty'],
  ['mounts kv version', 1, 'must be 2, the only one supported'],
  ['mounts kv version', undefined, 'must be 2, the only one supported'],
  ['mounts transit version', 2, 'is only possible with type kv'],
  ['mounts kv keys', {}, 'is only possible with type transit'],
  ['mounts kv connections', {}, 'is only possible with type database'],
  ['mounts', [], 'must be a map'],
  ['auth kubernetes type', 'ldap', 'must be kubernetes, the only one supported'],
  ['audit file type', 'socket', 'must be file, the only one supported'],
  [`${one} ttl`, 3600, 'must be a duration such as 30m, 1h or 7d'],
  ['access tokenTtl', '0s', 'must be a duration such as 30m, 1h or 7d'],
  ['access database ttl', '2h1s', 'must not be longer than `access.database.maxTtl`'],
  [`${one} namespaces`, [], 'must be a list of texts that is not empty'],
  [`${one} policies`, ['two'], 'names `two`, but there is no policies/two.hcl for it'],
  ['operator policy', 'none', 'names no file of policies/'],
  ['operator', undefined, 'must be a map'],
  [`${pg} url`, 'db://vault:hunter22@host', 'must be a URL with {{username}}:{{password}} before the host'],
  [`${pg} password`, 'hunter22', 'must be {file: name, key: name}, never the value itself'],
  ['access auth', 'ldap', 'is not a method of `auth`'],
  ['access secrets', 'db', 'is not a kv engine of `mounts`'],
  ['access database mount', 'kv', 'is not a database engine of `mounts`'],
  ['access database connection', 'my', 'is not a connection of `mounts.db`'],
  ['applications app database', 'app"; DROP', 'must be a name of a-z, 0-9, - and _'],
  ['applications app backend', 'operations', 'is `operations`, which is already taken'],
  [parameter, 'hunter22', noLiteral],
  [parameter, { setting: 'a', file: 'b' }, noLiteral],
  [parameter, { setting: 'a', default: 'b' }, noLiteral],
  [parameter, { file: 'b' }, noLiteral],
  // As settings may not name it either.
  [
    parameter,
    { file: 'database.yaml', key: 'a b' },
    'must be a YAML file of secrets/ and a key of its first level',
  ],
  // Wrong beside another value, which the error names.
  ['mounts db maxTtl', '90m', '`access.database.maxTtl` in FILE must not be longer than `mounts.db.maxTtl`'],
  ['auth kubernetes maxTtl', '119m', `\`auth.kubernetes.roles.one.ttl\` in FILE ${longer}`],
  ['auth kubernetes', { ...accounts, maxTtl: '59m' }, `\`access.tokenTtl\` in FILE ${longer}`],
  ['mount', {}, 'unknown key `mount` in FILE'],
  ['mounts kv typ', 'kv', 'unknown key `mounts.kv.typ` in FILE'],
  [`${pg} password`, { setting: 'x' }, 'unknown key `mounts.db.connections.pg.password.setting` in FILE'],
];

for (const [place, value, complaint] of wrong) {
  const here = complaint.includes('FILE') ? '' : `\`${place.replaceAll(' ', '.')}\` in FILE `;
  const what = here + complaint;
  test(`${JSON.stringify(value)}: ${what}`, async () => {
    const failure = await failureOf(loadWith(place, value));
    assert.not.match(JSON.stringify(failure), 'hunter22');
    const file = new RegExp(`${basename(folder)}/state.yaml:\\d+`);
    assert.is(failure.what.replace(file, 'FILE'), what);
    if (place === 'mounts kv typ') assert.is(failure.advice, 'Did you mean `type`?');
  });
}

test('a file that is missing, empty or no YAML is an error that names it', async () => {
  const file = `${basename(folder)}/state.yaml`;
  const failing = async () => (await failureOf(loadDesiredState(folder))).what;
  assert.is(await failing(), `the desired state of Vault cannot be read: ${file}`);
  await write('state.yaml', '');
  assert.is(await failing(), `${file} must be a map`);
  await write('state.yaml', 'mounts:\n  kv: { type: kv\n');
  assert.match(await failing(), new RegExp(`^${file}:\\d+ is not valid YAML`));
});

test.run();
