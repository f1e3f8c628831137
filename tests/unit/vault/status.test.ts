import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import type { DesiredState } from '../../../lib/vault/api/desired-state.ts';
import { VaultError } from '../../../lib/vault/api/vault-error.ts';
import { vaultStatus } from '../../../lib/vault/api/vault-status.ts';
import { failureOf } from '../../rig/task-context.ts';
import { type Answer, type Call, withVault } from './scripted-vault.ts';

const policy = (name: string) => ({ name, files: [`${name}.hcl`], text: 'x' });
const state: DesiredState = {
  operator: { policy: policy('operations'), period: 60 },
  audit: [{ path: 'file', type: 'file', description: 'd', file: { setting: 'auditLog' } }],

  mounts: [],
  policies: [policy('a')],
  auth: [{ path: 'kubernetes', type: 'kubernetes' as const, description: 'd', maxTtl: undefined, roles: [] }],
  keyValues: [{ mount: 'kv', path: 'app', values: [{ name: 'DB_PASSWORD', from: { file: 'f', key: 'k' } }] }],
};

const good: Record<string, Answer> = {
  'sys/seal-status': { body: { initialized: true, sealed: false } },
  'sys/audit': {
    body: { data: { 'file/': { type: 'file', description: 'd', options: { file_path: 'log' } } } },
  },
  'sys/policies/acl/operations': { body: { data: { policy: 'x' } } },
  'sys/policies/acl/a': { body: { data: { policy: 'x\n' } } },
  'sys/auth': { body: { data: { 'kubernetes/': { type: 'kubernetes', description: 'd' } } } },
  'auth/kubernetes/config': { body: { data: { kubernetes_host: 'h' } } },
  'kv/data/app': { body: { data: { data: { DB_PASSWORD: 'p' }, metadata: { version: 1 } } } },
};

async function statusWith(overrides: Record<string, Answer>, reasons: string[] = []) {
  let status: unknown;
  const script = ({ path, method }: Call) => {
    assert.is(method, 'GET');
    return overrides[path] ?? good[path];
  };
  await withVault(script, async ({ address }) => {
    const client = vaultClient({ address, token: 't', timeoutMs: 1000 });
    status = await vaultStatus([{ name: 'vault', client }], state, { auditLog: 'log' }, (reason) =>
      reasons.push(reason),
    );
  });
  return status;
}

const open = { initialized: true, sealed: false };
const refused = { status: 403, body: { errors: ['permission denied'] } };
const missing = { status: 404, body: { errors: [] } };

const cases: [string, Record<string, Answer>, unknown][] = [
  ['everything there is configured', {}, { ...open, configured: true }],
  [
    'a policy with another text is not',
    { 'sys/policies/acl/a': { body: { data: { policy: 'y' } } } },
    { ...open, configured: false },
  ],
  [
    'a Vault without its audit log is not',
    { 'sys/audit': { body: { data: {} } } },
    { ...open, configured: false },
  ],
  [
    'another policy of the operator is not',
    { 'sys/policies/acl/operations': missing },
    { ...open, configured: false },
  ],
  ['a missing auth config is not', { 'auth/kubernetes/config': missing }, { ...open, configured: false }],
  ['a missing secret is not', { 'kv/data/app': missing }, { ...open, configured: false }],
  [
    'an empty value is not',
    { 'kv/data/app': { body: { data: { data: { DB_PASSWORD: '' }, metadata: { version: 1 } } } } },
    { ...open, configured: false },
  ],
  [
    'a sealed Vault is asked no more',
    { 'sys/seal-status': { body: { initialized: true, sealed: true } }, 'sys/auth': 'silent' },
    { initialized: true, sealed: true, configured: false },
  ],
  [
    'a new Vault is asked no more',
    { 'sys/seal-status': { body: { initialized: false, sealed: true } }, 'sys/auth': 'silent' },
    { initialized: false, sealed: true, configured: false },
  ],
];
for (const [name, overrides, expected] of cases) {
  test(name, async () => assert.equal(await statusWith(overrides), expected));
}

for (const [name, overrides] of [
  ['something else than Vault has said nothing', { 'sys/seal-status': { text: '<html>' } }],
  ['no answer is no statement', { 'sys/seal-status': 'silent' }],
] as const) {
  test(name, async () => {
    const error = await failureOf(statusWith(overrides as Record<string, Answer>));
    assert.instance(error, VaultError);
  });
}

const html = '<html>';
for (const [path, answer] of [
  ['sys/auth', refused],
  ['sys/auth', 'silent'],
  ['sys/auth', { status: 500, body: { errors: ['internal error'] } }],
  ['sys/auth', { status: 503, body: { errors: ['Vault is sealed'] } }],
  ['sys/auth', { status: 429, text: 'slow down' }],
  ['sys/auth', { status: 200, text: '' }],
  ['sys/audit', { body: {} }],
  ['sys/policies/acl/a', { status: 404, text: html }],
  ['auth/kubernetes/config', { status: 404, body: {} }],
  ['kv/data/app', { status: 404, text: html }],
  ['kv/data/app', { status: 200, text: html }],
  ['kv/data/app', { body: {} }],
] as [string, Answer][]) {
  test(`whether it is configured is unknown: ${path} ${JSON.stringify(answer)}`, async () => {
    const reasons: string[] = [];
    assert.equal(await statusWith({ [path]: answer }, reasons), { ...open, configured: null });
    assert.is(reasons.length, 1);
    assert.match(reasons[0] ?? '', path);
  });
}

test('one sealed replica counts as sealed, and an unsealed one is asked for the rest', async () => {
  const sealed = { body: { initialized: true, sealed: true } };
  await withVault(
    ({ path }) => (path === 'sys/seal-status' ? sealed : 'silent'),
    async (first) =>
      withVault(
        ({ path }) => good[path],
        async (second) => {
          const replicas = [first, second].map(({ address }) => ({
            name: address,
            client: vaultClient({ address, token: 't', timeoutMs: 1000 }),
          }));
          assert.equal(await vaultStatus(replicas, state, { auditLog: 'log' }, assert.unreachable), {
            ...{ initialized: true, sealed: true, configured: true },
          });
        },
      ),
  );
});

test.run();
