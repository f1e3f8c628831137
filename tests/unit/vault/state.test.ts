import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { loadDesiredState } from '../../../lib/vault/state.ts';
import { failureOf } from './scripted-vault.ts';

const project = fileURLToPath(new URL('../../../vault', import.meta.url));

const valid = `
mounts:
  kv: { type: kv, version: 2, description: parameters, maxTtl: 1h30m }
  transit: { type: transit, description: encryption, keys: { cache: { type: aes256-gcm96 } } }
auth:
  kubernetes:
    type: kubernetes
    description: accounts
    roles:
      one: { serviceAccounts: [one], namespaces: [a, b], audience: vault, policies: [one], ttl: 2h }
secrets:
  kv/app/database:
    DB_HOST: { setting: database.host }
    DB_PASSWORD: { file: database.yaml, key: password }
`;

const test = suite<{ folder: string }>('vault/state');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-state-'));
  await mkdir(join(context.folder, 'policies'));
  await writeFile(join(context.folder, 'policies', 'one.hcl'), 'path "x" {}');
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

test('the project’s own state loads and refers only to policies and engines that are there', async () => {
  const state = await loadDesiredState(project);
  assert.equal(
    state.mounts.map(({ path, type, version }) => [path, type, version]),
    [
      ['kv', 'kv', 2],
      ['transit', 'transit', undefined],
    ],
  );
  assert.equal(state.auth[0]?.roles[0], {
    name: 'app1-back',
    serviceAccounts: ['app1-back'],
    namespaces: ['backend'],
    audience: 'vault',
    policies: ['app1-back'],
    ttlSeconds: 3600,
  });
  const [secret] = state.keyValues;
  assert.is(`${secret?.mount} ${secret?.path}`, 'kv app1/database');
  assert.equal(
    secret?.values.map(({ name }) => name),
    ['DB_HOST', 'DB_PORT', 'DB_USER', 'DB_PASSWORD'],
  );
});

test('durations are read in seconds', async ({ folder }) => {
  const state = await loadWith(folder, 'auth kubernetes maxTtl', '1d2h');
  assert.is(state.mounts[0]?.maxTtlSeconds, 5400);
  assert.is(state.auth[0]?.maxTtlSeconds, 93_600);
  assert.is(state.auth[0]?.roles[0]?.ttlSeconds, 7200);
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
    'secrets kv/app/database DB_HOST default',
    'x',
    'unknown key `secrets.kv/app/database.DB_HOST.default` in FILE',
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
    '`mounts.kv.version` in FILE must be a number',
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
    'a role without namespaces',
    'auth kubernetes roles one namespaces',
    [],
    '`auth.kubernetes.roles.one.namespaces` in FILE must be a list of texts that is not empty',
  ],
  [
    'a policy that is not there',
    'auth kubernetes roles one policies',
    ['two'],
    '`auth.kubernetes.roles.one.policies` in FILE names `two`, but there is no policies/two.hcl',
  ],
  [
    'a secret outside of the engines',
    'secrets other/app',
    {},
    '`secrets.other/app` in FILE does not begin with the path of a kv engine of `mounts`',
  ],
  [
    'a setting and a file at once',
    'secrets kv/app/database DB_HOST',
    { setting: 'a', file: 'b' },
    '`secrets.kv/app/database.DB_HOST` in FILE has both a setting and a file',
  ],
  [
    'a file without a key',
    'secrets kv/app/database DB_HOST',
    { file: 'b' },
    '`secrets.kv/app/database.DB_HOST.key` in FILE must be a text that is not empty',
  ],
  ['a list where a map belongs', 'mounts', [], '`mounts` in FILE must be a map'],
];

for (const [name, place, value, message] of wrong) {
  test(`${name} is an error that names key and file`, async ({ folder }) => {
    const failure = await failureOf(loadWith(folder, place, value));
    assert.is(failure.what, message.replace('FILE', join(folder, 'state.yaml')));
  });
}

test('a nearly right key gets a suggestion', async ({ folder }) => {
  assert.is((await failureOf(loadWith(folder, 'mounts kv typ', 'kv'))).advice, 'did you mean `type`?');
});

test('a password written into the file is refused without showing it', async ({ folder }) => {
  const failure = await failureOf(loadWith(folder, 'secrets kv/app/database DB_PASSWORD', 'hunter22'));
  assert.match(failure.what, 'must be {setting: name} or {file: name, key: name}, never the value itself');
  assert.not.match(JSON.stringify(failure), 'hunter22');
});

test('broken YAML is named with its line', async ({ folder }) => {
  const file = join(folder, 'state.yaml');
  await writeFile(file, 'mounts:\n  kv: { type: kv\n');
  assert.match((await failureOf(loadDesiredState(folder))).what, new RegExp(`${file}:\\d+ is not YAML`));
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
