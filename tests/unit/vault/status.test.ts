import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import type { DesiredState } from '../../../lib/vault/api/desired-state.ts';
import { VaultError } from '../../../lib/vault/api/vault-error.ts';
import { vaultStatus } from '../../../lib/vault/api/vault-status.ts';
import { failureOf } from '../../rig/task-context.ts';
import { type Answer, type Call, emptyState, withVault } from './scripted-vault.ts';

const state: DesiredState = {
  ...emptyState(),
  audit: [{ path: 'file', type: 'file', description: 'd', file: { setting: 'auditLog' } }],
  policies: [{ name: 'a', files: ['a.hcl'], text: 'x' }],
  auth: [{ path: 'kubernetes', type: 'kubernetes', description: 'd', roles: [] }],
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
const secret = (value: string) => ({
  body: { data: { data: { DB_PASSWORD: value }, metadata: { version: 1 } } },
});

test('everything there is configured', async () =>
  assert.equal(await statusWith({}), { ...open, configured: true }));

for (const [name, path, answer] of [
  ['a policy with another text', 'sys/policies/acl/a', { body: { data: { policy: 'y' } } }],
  ['a missing audit log', 'sys/audit', { body: { data: {} } }],
  ['a missing policy of the operator', 'sys/policies/acl/operations', missing],
  ['a missing auth config', 'auth/kubernetes/config', missing],
  ['a missing secret', 'kv/data/app', missing],
  ['an empty value', 'kv/data/app', secret('')],
] as [string, string, Answer][]) {
  test(`${name} is not configured`, async () =>
    assert.equal(await statusWith({ [path]: answer }), { ...open, configured: false }));
}

for (const initialized of [true, false]) {
  test(`a Vault that is sealed, initialised: ${initialized}, is asked no more`, async () => {
    const state = { initialized, sealed: true };
    const answers: Record<string, Answer> = { 'sys/seal-status': { body: state }, 'sys/auth': 'silent' };
    assert.equal(await statusWith(answers), { ...state, configured: false });
  });
}

test('something else than Vault, or no answer, says nothing', async () => {
  for (const answer of [{ text: '<html>' }, 'silent'] as Answer[])
    assert.instance(await failureOf(statusWith({ 'sys/seal-status': answer })), VaultError);
});

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
