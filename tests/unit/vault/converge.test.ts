import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/client.ts';
import { convergeVault, formatChange } from '../../../lib/vault/converge.ts';
import type { KubernetesAccess } from '../../../lib/vault/kubernetes-auth.ts';
import type { DesiredState } from '../../../lib/vault/state.ts';
import { type Answer, type Call, failureOf, type ScriptedVault, withVault } from './scripted-vault.ts';

const nothing: DesiredState = { file: 'state.yaml', mounts: [], auth: [], policies: [], keyValues: [] };
const auth = { path: 'kubernetes', description: 'd', maxTtlSeconds: undefined, roles: [] };
const engine = { path: 'kv', type: 'kv', version: 2, description: 'd', maxTtlSeconds: 60, keys: [] };
const transit = {
  ...{ path: 'transit', type: 'transit', version: undefined, description: 'd', maxTtlSeconds: undefined },
  keys: [{ name: 'cache', type: 'aes256-gcm96' }],
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
) {
  return convergeVault({
    client: vaultClient({ address: vault.address, token: 't' }),
    state: { ...nothing, ...state },
    kubernetes,
    sources: { settings: { database: { host: 'db' } }, decrypt },
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
      assert.equal(vault.calls[1]?.body, {
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
      assert.equal(vault.requests(), ['GET sys/mounts', 'POST sys/mounts/kv/tune', 'GET sys/mounts']);
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
      assert.ok(vault.calls.every(({ method }) => method === 'GET'));
    }));
}

test('the first error ends the run, with Vault’s text', () =>
  withVault(
    script({
      'GET sys/policies/acl/a': missing,
      'POST sys/policies/acl/a': { status: 400, body: { errors: ['failed to parse policy'] } },
    }),
    async (vault) => {
      const policies = ['a', 'b'].map((name) => ({ name, file: `${name}.hcl`, text: 'x' }));
      const failure = await failureOf(converge(vault, { policies }));
      assert.is(failure.why, 'failed to parse policy');
      assert.is(vault.calls.length, 2);
    },
  ));

test('a write that does not take is an error, since every run would repeat it', () =>
  withVault(
    script({
      'GET sys/policies/acl/a': { body: { data: { policy: 'other' } } },
      'POST sys/policies/acl/a': done,
    }),
    async (vault) => {
      const failure = await failureOf(
        converge(vault, { policies: [{ name: 'a', file: 'a.hcl', text: 'x' }] }),
      );
      assert.is(failure.what, 'Vault took the policy a, but it still differs from the desired state');
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
    assert.is(vault.calls.length, 1);
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
      assert.equal(vault.calls[1]?.body, { data: whole, options: { cas: 3 } });
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
      assert.equal(vault.calls[1]?.body.options, { cas: 7 });
    },
  ));

test('a change that others made meanwhile is an error without the value', () =>
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

test('an engine that Vault still prepares is waited for', () => {
  const upgrading = {
    status: 400,
    body: { errors: ['Upgrading from non-versioned to versioned data. This backend will …'] },
  };
  return withVault(
    script({ 'GET kv/data/app/database': [upgrading, upgrading, storedSecret(whole, 1)] }),
    async (vault) => {
      assert.is((await converge(vault, { keyValues: [password] }))[0]?.outcome, 'unchanged');
      assert.is(vault.calls.length, 3);
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
      assert.is(vault.calls.length, 0);
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

test('the reviewer’s token is written once, remembered as a hash, and written again when it is another one', async ({
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
    const write = vault.calls.find(({ method }) => method === 'POST');
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

test('a change reads as one line', () => {
  assert.is(
    formatChange({ kind: 'secret', path: 'kv/a', outcome: 'changed', difference: 'DB_PASSWORD' }),
    'changed   secret kv/a (DB_PASSWORD)',
  );
  assert.is(formatChange({ kind: 'policy', path: 'a', outcome: 'unchanged' }), 'unchanged policy a');
});

test.run();
