import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { convergeVault, formatChange } from '../../../lib/vault/api/converge.ts';
import type { DatabaseSources } from '../../../lib/vault/api/database.ts';
import type { DesiredState, Mount } from '../../../lib/vault/api/desired-state.ts';
import type { KubernetesAccess } from '../../../lib/vault/api/kubernetes-auth.ts';
import { type Answer, type Call, failureOf, type ScriptedVault, withVault } from './scripted-vault.ts';

const policy = (name: string) => ({ name, files: [`${name}.hcl`], text: 'x' });
const nothing: DesiredState = {
  operator: { policy: policy('operations'), period: 60 },
  ...{ audit: [], mounts: [], auth: [], policies: [], keyValues: [] },
};
const noLogins = { connections: [], logins: [] };
const auth = {
  path: 'kubernetes',
  type: 'kubernetes' as const,
  description: 'd',
  maxTtl: undefined,
  roles: [],
};
const engine = {
  path: 'kv',
  type: 'kv',
  version: 2 as const,
  description: 'd',
  maxTtl: 60,
  keys: [],
  ...noLogins,
};
const transit = {
  ...{ path: 'transit', type: 'transit', version: undefined, description: 'd', maxTtl: undefined },
  keys: [{ name: 'cache', type: 'aes256-gcm96' }],
  ...noLogins,
};
const password = {
  mount: 'kv',
  path: 'app/database',
  values: [
    { name: 'DB_HOST', from: { setting: 'database.host' } },
    { name: 'DB_PASSWORD', from: { file: 'database.yaml', key: 'password' } },
  ],
};

const test = suite<{ folder: string }>('vault/converge');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-converge-'));
});
test.after.each(async ({ folder }) => {
  await rm(folder, { recursive: true });
});

let decrypted = 0;

async function decrypt(): Promise<string> {
  decrypted += 1;
  return 'hunter22';
}

function converge(
  vault: ScriptedVault,
  state: Partial<DesiredState>,
  kubernetes: KubernetesAccess = { host: 'h' },
  sources: Partial<DatabaseSources> = {},
) {
  return convergeVault({
    client: vaultClient({ address: vault.address, token: 't' }),
    state: { ...nothing, ...state },
    kubernetes,
    sources: {
      settings: { database: { host: 'db' } },
      decrypt,
      passwordRecord: join(tmpdir(), 'no-password'),
      databaseAuthority: 'ca',
      ...sources,
    },
  });
}

/** Answers each call by its line; a list is used up one answer per call, its last stays. */
function script(answers: Record<string, Answer | Answer[]>) {
  return ({ method, path }: Call): Answer | undefined => {
    const found = answers[`${method} ${path}`];
    if (!Array.isArray(found)) return found;
    return found.length > 1 ? found.shift() : found[0];
  };
}

/** What came after the search for applications that are no longer declared. */
const calls = (vault: ScriptedVault) =>
  vault.calls.filter(({ path }) => path !== 'sys/policies/acl?list=true');

const missing = { status: 404, body: { errors: [] } };
const done = { status: 204 };

test('an engine is enabled with everything it needs', () =>
  withVault(
    script({
      'GET sys/mounts': [
        { body: { data: {} } },
        {
          body: {
            data: {
              'kv/': {
                type: 'kv',
                options: { version: '2' },
                description: 'd',
                config: { max_lease_ttl: 60 },
              },
            },
          },
        },
      ],
      'POST sys/mounts/kv': done,
    }),
    async (vault) => {
      assert.equal(await converge(vault, { mounts: [engine] }), [
        { kind: 'secrets engine', path: 'kv/', outcome: 'changed', difference: 'missing' },
      ]);
      assert.equal(calls(vault)[1]?.body, {
        ...{ type: 'kv', description: 'd', options: { version: '2' } },
        config: { max_lease_ttl: '60s' },
      });
    },
  ));

test('an engine with another description or lease is tuned, not enabled again', () =>
  withVault(
    script({
      'GET sys/mounts': [
        {
          body: {
            data: {
              'kv/': {
                type: 'kv',
                options: { version: '2' },
                description: 'x',
                config: { max_lease_ttl: 0 },
              },
            },
          },
        },
        {
          body: {
            data: {
              'kv/': {
                type: 'kv',
                options: { version: '2' },
                description: 'd',
                config: { max_lease_ttl: 60 },
              },
            },
          },
        },
      ],
      'POST sys/mounts/kv/tune': done,
    }),
    async (vault) => {
      const [change] = await converge(vault, { mounts: [engine] });
      assert.is(change?.difference, 'description, maxTtl');
      assert.equal(
        calls(vault).map(({ method, path }) => `${method} ${path}`),
        ['GET sys/mounts', 'POST sys/mounts/kv/tune', 'GET sys/mounts'],
      );
    },
  ));

const unchangeable: [string, Partial<DesiredState>, Record<string, Answer>, string][] = [
  [
    'an engine of another type',
    { mounts: [engine] },
    { 'GET sys/mounts': { body: { data: { 'kv/': { type: 'pki' } } } } },
    'the secrets engine kv/ is pki in Vault, but the desired state says kv',
  ],
  [
    'a kv engine of version 1',
    { mounts: [engine] },
    { 'GET sys/mounts': { body: { data: { 'kv/': { type: 'kv', options: null } } } } },
    'the secrets engine kv/ is version 1 in Vault, but the desired state says version 2',
  ],
  [
    'a transit key of another type',
    { mounts: [transit] },
    {
      'GET sys/mounts': { body: { data: { 'transit/': { type: 'transit', description: 'd' } } } },
      'GET transit/keys/cache': { body: { data: { type: 'rsa-2048' } } },
    },
    'the transit key transit/keys/cache is rsa-2048 in Vault, but the desired state says aes256-gcm96',
  ],
];
for (const [name, state, answers, what] of unchangeable) {
  test(`${name} is an error and nothing is written`, () =>
    withVault(script(answers), async (vault) => {
      assert.is((await failureOf(converge(vault, state))).what, what);
      assert.ok(calls(vault).every(({ method }) => method === 'GET'));
    }));
}

test('the first error ends the run, with Vault’s text', () =>
  withVault(
    script({
      'GET sys/policies/acl/a': missing,
      'POST sys/policies/acl/a': { status: 400, body: { errors: ['failed to parse policy'] } },
    }),
    async (vault) => {
      const policies = ['a', 'b'].map(policy);
      const failure = await failureOf(converge(vault, { policies }));
      assert.is(failure.why, 'failed to parse policy');
      assert.is(calls(vault).length, 2);
    },
  ));

test('a write without effect is an error, since every run would repeat it', () =>
  withVault(
    script({
      'GET sys/policies/acl/a': { body: { data: { policy: 'other' } } },
      'POST sys/policies/acl/a': done,
    }),
    async (vault) => {
      const failure = await failureOf(converge(vault, { policies: [policy('a')] }));
      assert.is(failure.what, 'Vault accepted the policy a, but it still differs from the desired state');
      assert.is(failure.why, 'text');
    },
  ));

const storedSecret = (data: object, version: number) => ({ body: { data: { data, metadata: { version } } } });
const whole = { DB_HOST: 'db', DB_PASSWORD: 'hunter22' };

test('a secret as desired is not written', () =>
  withVault(script({ 'GET kv/data/app/database': storedSecret(whole, 3) }), async (vault) => {
    assert.equal(await converge(vault, { keyValues: [password] }), [
      { kind: 'secret', path: 'kv/app/database', outcome: 'unchanged' },
    ]);
    assert.is(calls(vault).length, 1);
  }));

test('a secret is written for the version that was compared, and reported by names only', () =>
  withVault(
    script({
      'GET kv/data/app/database': [
        storedSecret({ DB_HOST: 'db', DB_PASSWORD: 'old', EXTRA: '1' }, 3),
        storedSecret(whole, 4),
      ],
      'POST kv/data/app/database': done,
    }),
    async (vault) => {
      decrypted = 0;
      const [change] = await converge(vault, { keyValues: [password] });
      assert.is(decrypted, 1);
      assert.is(change?.difference, 'DB_PASSWORD, EXTRA');
      assert.equal(calls(vault)[1]?.body, { data: whole, options: { cas: 3 } });
    },
  ));

test('a deleted secret is written again with its last version', () =>
  withVault(
    script({
      'GET kv/data/app/database': [
        { status: 404, body: { data: { data: null, metadata: { version: 7, deletion_time: 'x' } } } },
        storedSecret(whole, 8),
      ],
      'POST kv/data/app/database': done,
    }),
    async (vault) => {
      const [change] = await converge(vault, { keyValues: [password] });
      assert.is(change?.difference, 'missing');
      assert.equal(calls(vault)[1]?.body.options, { cas: 7 });
    },
  ));

test('a concurrent change is an error that does not show the value', () =>
  withVault(
    script({
      'GET kv/data/app/database': missing,
      'POST kv/data/app/database': {
        status: 400,
        body: { errors: ['check-and-set parameter did not match; got hunter22'] },
      },
    }),
    async (vault) => {
      const failure = await failureOf(converge(vault, { keyValues: [password] }));
      assert.is(failure.why, 'check-and-set parameter did not match; got ***');
    },
  ));

test('a run waits for an engine that Vault still prepares', () => {
  const upgrading = {
    status: 400,
    body: { errors: ['Upgrading from non-versioned to versioned data. This backend will …'] },
  };
  return withVault(
    script({ 'GET kv/data/app/database': [upgrading, upgrading, storedSecret(whole, 1)] }),
    async (vault) => {
      assert.is((await converge(vault, { keyValues: [password] }))[0]?.outcome, 'unchanged');
      assert.is(calls(vault).length, 3);
    },
  );
});

test('a missing setting is named before anything is written', () =>
  withVault(
    () => undefined,
    async (vault) => {
      const secret = { ...password, values: [{ name: 'DB_HOST', from: { setting: 'database.hots' } }] };
      const failure = await failureOf(converge(vault, { keyValues: [secret] }));
      assert.is(failure.what, "Vault's desired state needs the setting `database.hots`, which is missing");
      assert.is(calls(vault).length, 0);
    },
  ));

const configured = (jwt: boolean) => ({
  body: {
    data: {
      kubernetes_host: 'h',
      kubernetes_ca_cert: 'ca',
      token_reviewer_jwt_set: jwt,
      disable_local_ca_jwt: jwt,
    },
  },
});
const authThere = {
  'GET sys/auth': { body: { data: { 'kubernetes/': { type: 'kubernetes', description: 'd' } } } },
};

test('the reviewer’s token is written once, recorded as a hash, and written again if it differs', async ({
  folder,
}) => {
  const recordPath = join(folder, 'state', 'reviewer.json');
  const access = (token: string) => ({ host: 'h', caCertificate: 'ca\n', reviewer: { token, recordPath } });
  const answers = script({
    ...authThere,
    'GET auth/kubernetes/config': [missing, configured(true)],
    'POST auth/kubernetes/config': done,
  });
  await withVault(answers, async (vault) => {
    const outcomes: string[] = [];
    for (const token of ['first', 'first', 'second']) {
      outcomes.push((await converge(vault, { auth: [auth] }, access(token)))[1]?.difference ?? 'unchanged');
    }
    assert.equal(outcomes, ['missing', 'unchanged', 'token_reviewer_jwt']);
    const write = calls(vault).find(({ method }) => method === 'POST');
    assert.equal(write?.body, {
      kubernetes_host: 'h',
      kubernetes_ca_cert: 'ca',
      token_reviewer_jwt: 'first',
      disable_local_ca_jwt: true,
    });
    assert.not.match(await readFile(recordPath, 'utf8'), /first|second/);
  });
});

test('a Vault in a pod needs no certificate and no token', () =>
  withVault(
    script({
      ...authThere,
      'GET auth/kubernetes/config': [
        missing,
        { body: { data: { kubernetes_host: 'h', kubernetes_ca_cert: '', token_reviewer_jwt_set: false } } },
      ],
      'POST auth/kubernetes/config': done,
    }),
    async (vault) => {
      assert.equal(
        (await converge(vault, { auth: [auth] })).map(({ outcome }) => outcome),
        ['unchanged', 'changed'],
      );
    },
  ));

const audit = { type: 'file' as const, path: 'file', description: 'd', file: { setting: 'database.host' } };
const audited = (options: object) => ({
  body: { data: { 'file/': { type: 'file', description: 'd', options } } },
});

test('the audit log is enabled first; with another file it is disabled before', async () => {
  const policies = [policy('a')];
  await withVault(
    script({
      'GET sys/audit': [{ body: { data: {} } }, audited({ file_path: 'db' })],
      'POST sys/audit/file': done,
      'GET sys/policies/acl/a': { body: { data: { policy: 'x' } } },
    }),
    async (vault) => {
      assert.equal(
        (await converge(vault, { audit: [audit], policies })).map(
          ({ path, outcome }) => `${path} ${outcome}`,
        ),
        ['file/ changed', 'a unchanged'],
      );
      assert.equal(calls(vault)[1]?.body, { type: 'file', description: 'd', options: { file_path: 'db' } });
    },
  );
  await withVault(
    script({
      'GET sys/audit': [audited({ file_path: 'other' }), audited({ file_path: 'db' })],
      'DELETE sys/audit/file': done,
      'POST sys/audit/file': done,
    }),
    async (vault) => {
      assert.is((await converge(vault, { audit: [audit] }))[0]?.difference, 'file');
      assert.equal(
        calls(vault).map(({ method }) => method),
        ['GET', 'DELETE', 'POST', 'GET'],
      );
    },
  );
});

const connection = {
  ...{ name: 'pg', plugin: 'p', url: `db://{{username}}:{{password}}@\${database.host}`, username: 'vault' },
  ...{ password: { file: 'database.yaml', key: 'vaultPassword' }, passwordAuthentication: 'scram-sha-256' },
  maxOpenConnections: 4,
};
const login = {
  ...{ name: 'app-back', connection: 'pg', create: ['one', 'two'], renew: ['r'], revoke: ['e'] },
  ...{ ttl: 60, maxTtl: 120 },
};
const database: Mount = {
  ...{ path: 'db', type: 'database', version: undefined, description: 'd', maxTtl: undefined },
  ...{ keys: [], connections: [connection], logins: [login] },
};
const databaseThere = {
  'GET sys/mounts': { body: { data: { 'db/': { type: 'database', description: 'd' } } } },
};
const roleAs = (role: object) => ({
  body: {
    data: {
      ...{ db_name: 'pg', creation_statements: ['one', 'two'], renew_statements: ['r'] },
      ...{ revocation_statements: ['e'], default_ttl: 60, max_ttl: 120, ...role },
    },
  },
});
const connectionAs = (values: object) => ({
  body: {
    data: {
      ...{ plugin_name: 'p', allowed_roles: ['app-back'], ...values },
      connection_details: {
        ...{ connection_url: 'db://{{username}}:{{password}}@db', username: 'vault' },
        ...{ password_authentication: 'scram-sha-256', max_open_connections: 4, tls_ca: 'ca' },
      },
    },
  },
});

test('the password of a database is written once, recorded as a hash, and never read', async ({ folder }) => {
  const passwordRecord = join(folder, 'passwords');
  const answers = script({
    ...databaseThere,
    'GET db/roles/app-back': roleAs({}),
    'GET db/config/pg': [missing, connectionAs({})],
    'POST db/config/pg': done,
  });
  await withVault(answers, async (vault) => {
    const outcomes: string[] = [];
    for (const secret of ['first-password', 'first-password', 'second-password']) {
      const changes = await converge(vault, { mounts: [database] }, undefined, {
        passwordRecord,
        decrypt: async () => secret,
      });
      outcomes.push(changes.at(-1)?.difference ?? 'unchanged');
    }
    assert.equal(outcomes, ['missing', 'unchanged', 'password']);
    const write = calls(vault).find(({ method }) => method === 'POST');
    assert.equal(write?.body, {
      ...{
        plugin_name: 'p',
        allowed_roles: ['app-back'],
        connection_url: 'db://{{username}}:{{password}}@db',
      },
      ...{ username: 'vault', password: 'first-password', password_authentication: 'scram-sha-256' },
      ...{ max_open_connections: 4, tls_ca: 'ca' },
    });
    assert.not.match(await readFile(passwordRecord, 'utf8'), /first|second/);
  });
});

test('a database that refuses Vault is named, without the password', () =>
  withVault(
    script({
      ...databaseThere,
      'GET db/roles/app-back': roleAs({}),
      'GET db/config/pg': missing,
      'POST db/config/pg': { status: 400, body: { errors: ['failed SASL auth for vault:hunter22'] } },
    }),
    async (vault) => {
      const failure = await failureOf(converge(vault, { mounts: [database] }));
      assert.is(failure.what, 'Vault cannot log in to the database `pg` as `vault`');
      assert.is(failure.why, 'failed SASL auth for vault:***');
    },
  ));

test('a password that is not the secret of the role is refused before anything is decrypted or written', () =>
  withVault(script({ ...databaseThere, 'GET db/roles/app-back': roleAs({}) }), async (vault) => {
    const issuers = { vault: { password: 'sops://database.yaml#/other' } };
    const failure = await failureOf(
      converge(vault, { mounts: [database] }, undefined, {
        settings: { database: { host: 'db', issuers } },
        decrypt: () => Promise.reject(new Error('decrypted')),
      }),
    );
    assert.match(failure.what, 'has the password sops://database.yaml#/vaultPassword');
    assert.match(failure.why ?? '', '`database.issuers.vault.password` is sops://database.yaml#/other');
    assert.not.ok(calls(vault).some(({ method }) => method === 'POST'));
  }));

test('a login is created by the statements in their order', () =>
  withVault(
    script({
      ...databaseThere,
      'GET db/roles/app-back': [roleAs({ creation_statements: ['two', 'one'] }), roleAs({})],
      'POST db/roles/app-back': done,
      'GET db/config/pg': missing,
      'POST db/config/pg': { status: 500 },
    }),
    async (vault) => {
      await failureOf(converge(vault, { mounts: [database] }));
      assert.equal(calls(vault).find(({ method }) => method === 'POST')?.body, {
        ...{ db_name: 'pg', creation_statements: ['one', 'two'], renew_statements: ['r'] },
        ...{ revocation_statements: ['e'], default_ttl: 60, max_ttl: 120 },
      });
    },
  ));

test('an application that is no longer declared loses its logins and rights, and nothing else is touched', async () => {
  const text = '# Of the application old; written by init-vault, which …';
  const policies: Record<string, string> = { 'old-back': text, 'by-hand': '# mine', root: '' };
  const removed: string[] = [];
  await withVault(
    ({ method, path }) => {
      if (method === 'GET' && path === 'sys/policies/acl?list=true')
        return { body: { data: { keys: Object.keys(policies) } } };
      const name = path.replace('sys/policies/acl/', '');
      if (method === 'GET' && name in policies) return { body: { data: { policy: policies[name] } } };
      if (method === 'DELETE' || path.startsWith('sys/leases')) {
        removed.push(`${method} ${path}`);
        delete policies[name];
        return done;
      }
      return script(databaseThere)({ method, path } as Call);
    },
    async (vault) => {
      await failureOf(converge(vault, { mounts: [database], auth: [auth] }));
      assert.equal(removed, [
        'DELETE auth/kubernetes/role/old-back',
        'POST sys/leases/revoke-prefix/db/creds/old-back',
        'DELETE db/roles/old-back',
        'DELETE sys/policies/acl/old-back',
      ]);
      assert.equal(Object.keys(policies), ['by-hand', 'root']);
    },
  );
});

test('a change reads as one line', () => {
  assert.is(
    formatChange({ kind: 'secret', path: 'kv/a', outcome: 'changed', difference: 'DB_PASSWORD' }),
    'changed   secret kv/a (DB_PASSWORD)',
  );
  assert.is(formatChange({ kind: 'policy', path: 'a', outcome: 'unchanged' }), 'unchanged policy a');
});

test.run();
