import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { loadDesiredState } from '../../../lib/vault/api/state.ts';
import { initCommands } from '../../../lib/vault/dry-run.ts';
import { applications } from '../../rig/applications.ts';
import { copyOf, leftovers } from '../../rig/project-copy.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { emptyState } from './scripted-vault.ts';

const project = copyOf('vault');
const folder = join(project.folder, 'vault');
const valid = readFileSync(join(folder, 'state.yaml'), 'utf8');

test.after.each(project.reset);

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

/** Loads the project's state with the value at the dotted place (separated by spaces) replaced. */
async function loadWith(place: string, value: unknown) {
  const state = parse(valid);
  const keys = place.split(' ');
  const last = keys.pop() ?? '';
  const map = keys.reduce((inner, key) => inner[key], state);
  if (value === undefined) delete map[last];
  else map[last] = value;
  write('state.yaml', stringify(state));
  return loadDesiredState(folder);
}

test('the project’s own state has each application with secrets from Vault; what editors leave is ignored', async () => {
  for (const name of leftovers('vso.hcl')) write(join('policies', name), 'not a policy {');
  const { auth } = await loadDesiredState(folder);
  const backs = applications.flatMap(({ name, secrets }) => (secrets === 'vault' ? [`${name}-back`] : []));
  assert.equal(
    auth[0]?.roles.map(({ name }) => name),
    ['vso-transit', 'vault-backup', ...backs],
  );
});

test('one entry of an application gives its policy, role and login; without a database no right to one', async () => {
  const statements = `CREATE ROLE "{{name}}"\n  IN ROLE "\${database}";\nGRANT "{{name}}" TO CURRENT_USER;\n`;
  write('application/create-login.sql', `-- a comment; with a semicolon;\n${statements}`);
  const entry = { backend: 'other-back', namespace: 'elsewhere', database: 'other' };
  const { policies, auth, mounts } = await loadWith('applications other', entry);
  const { text = '' } = policies.find(({ name }) => name === 'other-back') ?? {};
  for (const part of [
    '# Of the application other;',
    'path "kv/data/other/*" {',
    '"database/creds/other-back" {',
  ])
    assert.match(text, part);
  assert.equal(auth[0]?.roles.at(-1), {
    ...{ name: 'other-back', serviceAccounts: ['other-back'], namespaces: ['elsewhere'] },
    ...{ audience: 'vault', policies: ['other-back'], ttl: 3600 },
  });
  const login = mounts[2]?.logins.at(-1);
  assert.equal([login?.name, login?.path], ['other-back', 'database/roles/other-back']);
  const { renew_statements, revocation_statements, ...values } = login?.values ?? {};
  assert.equal(values, {
    ...{ db_name: 'postgresql', default_ttl: 3600, max_ttl: 86_400 },
    creation_statements: ['CREATE ROLE "{{name}}" IN ROLE "other"', 'GRANT "{{name}}" TO CURRENT_USER'],
  });
  assert.equal(
    [renew_statements, revocation_statements].map((list) => Object(list).length),
    [1, 2],
  );
  const without = await loadWith('applications app1 database', undefined);
  assert.equal(without.mounts[2]?.logins, []);
  assert.not.match(without.policies.at(-1)?.text ?? '', 'database/creds');
});

test('a template with an unknown name, without its first line or with Windows line ends is an error', async () => {
  for (const [name, text, field, said] of [
    ['create-login.sql', `CREATE ROLE \${owner};`, 'what', /uses \$\{owner\}/],
    ['policy.hcl', 'path "x" {}', 'advice', /begin with: # Of the app/],
    ['create-login.sql', 'CREATE ROLE x;\r\n', 'what', /create-login\.sql with Windows line ends$/],
  ] as const) {
    write(join('application', name), text);
    await fails(loadDesiredState(folder), { [field]: said });
    project.reset();
  }
});

test('durations are read in seconds', async () => {
  assert.is((await loadWith('mounts kv maxTtl', '1h30m')).mounts[0]?.maxTtl, 5400);
  const [method] = (await loadWith('auth kubernetes maxTtl', '1d2h')).auth;
  assert.equal([method?.maxTtl, method?.roles[0]?.ttl], [93_600, 3600]);
  // As long as its engine allows.
  await loadWith('mounts database maxTtl', '24h');
});

const noLiteral = 'must be {setting: name} or {file: name, key: name}, never the value itself';
const parameter = 'applications app1 secrets database DB_HOST';
const accounts = { type: 'kubernetes', description: 'accounts' };
const longer = 'must not be longer than `auth.kubernetes.maxTtl`';
const one = 'auth kubernetes roles vso-transit';
const pg = 'mounts database connections postgresql';

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
  ['access database ttl', '24h1s', 'must not be longer than `access.database.maxTtl`'],
  [`${one} namespaces`, [], 'must be a list of texts that is not empty'],
  [`${one} policies`, ['two'], 'names `two`, but there is no policies/two.hcl for it'],
  ['operator policy', 'none', 'names no file of policies/'],
  ['operator', undefined, 'must be a map'],
  [`${pg} url`, 'db://vault:hunter22@host', 'must be a URL with {{username}}:{{password}} before the host'],
  [`${pg} password`, 'hunter22', 'must be {file: name, key: name}, never the value itself'],
  ['access auth', 'ldap', 'is not a method of `auth`'],
  ['access secrets', 'database', 'is not a kv engine of `mounts`'],
  ['access database mount', 'kv', 'is not a database engine of `mounts`'],
  ['access database connection', 'my', 'is not a connection of `mounts.database`'],
  ['applications app1 database', 'app"; DROP', 'must be a name of a-z, 0-9, - and _'],
  ['applications app1 backend', 'operations', 'is `operations`, which is already taken'],
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
  [
    'mounts database maxTtl',
    '90m',
    '`access.database.maxTtl` in FILE must not be longer than `mounts.database.maxTtl`',
  ],
  ['auth kubernetes maxTtl', '59m', `\`auth.kubernetes.roles.vso-transit.ttl\` in FILE ${longer}`],
  ['auth kubernetes', { ...accounts, maxTtl: '59m' }, `\`access.tokenTtl\` in FILE ${longer}`],
  ['mount', {}, 'unknown key `mount` in FILE'],
  ['mounts kv typ', 'kv', 'unknown key `mounts.kv.typ` in FILE'],
  [
    `${pg} password`,
    { setting: 'x' },
    'unknown key `mounts.database.connections.postgresql.password.setting` in FILE',
  ],
];

for (const [place, value, complaint] of wrong) {
  const here = complaint.includes('FILE') ? '' : `\`${place.replaceAll(' ', '.')}\` in FILE `;
  const what = here + complaint;
  test(`${JSON.stringify(value)}: ${what}`, async () => {
    const failure = await failureOf(loadWith(place, value));
    assert.not.match(JSON.stringify(failure), 'hunter22');
    assert.is(failure.what.replace(/vault\/state\.yaml:\d+/, 'FILE'), what);
    if (place === 'mounts kv typ') assert.is(failure.advice, 'Did you mean `type`?');
  });
}

test('a file that is missing, empty or no YAML is an error that names it', async () => {
  const refused = (what: string | RegExp) => fails(loadDesiredState(folder), { what });
  rmSync(join(folder, 'state.yaml'));
  await refused('the desired state of Vault cannot be read: vault/state.yaml');
  write('state.yaml', '');
  await refused('vault/state.yaml must be a map');
  write('state.yaml', 'mounts:\n  kv: { type: kv\n');
  await refused(/^vault\/state\.yaml:\d+ is not valid YAML/);
});

test('in plain commands, a second secret of a path comes by a file descriptor, never as an argument', () => {
  const values = ['a', 'b'].map((key) => ({ name: key.toUpperCase(), from: { file: 'f.yaml', key } }));
  const commands = initCommands({
    environment: 'development',
    address: 'https://127.0.0.1:8200',
    trust: { file: 'vault/ca.crt', serverName: 'vault.vault.svc', write: undefined },
    keysPath: '.state/development/vault/keys.json',
    databaseAuthorityFile: 'ca.crt',
    settings: {},
    kubernetes: { host: 'https://kubernetes.default.svc' },
    state: { ...emptyState(), keyValues: [{ mount: 'kv', path: 'app', values }] },
  });
  const decrypt = (key: string) =>
    `sops decrypt --extract '["${key}"]' environments/development/secrets/f.yaml`;
  const command = `${decrypt('a')} | vault kv put -mount=kv app A=- B=@<(${decrypt('b')})`;
  assert.ok(commands.includes(command), commands.join('\n'));
});

test.run();
