import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import type { DesiredState } from '../../../lib/vault/api/desired-state.ts';
import { VaultError } from '../../../lib/vault/api/vault-error.ts';
import { vaultStatus } from '../../../lib/vault/api/vault-status.ts';
import { failureOf } from '../../rig/task-context.ts';
import { type Answer, data, emptyState, missing, refused, scriptedVault } from './scripted-vault.ts';

const state: DesiredState = {
  ...emptyState(),
  audit: [{ path: 'file', type: 'file', description: 'd', file: { setting: 'auditLog' } }],
  policies: [{ name: 'a', files: ['a.hcl'], text: 'x' }],
  auth: [{ path: 'kubernetes', type: 'kubernetes', description: 'd', roles: [] }],
  keyValues: [{ mount: 'kv', path: 'app', values: [{ name: 'DB_PASSWORD', from: { file: 'f', key: 'k' } }] }],
};

type Answers = { readonly [path: string]: Answer };

const sealStatus = (initialized: boolean, sealed: boolean): Answer => ({ body: { initialized, sealed } });
const secret = (value: string) => data({ data: { DB_PASSWORD: value }, metadata: { version: 1 } });
const good: Answers = {
  'sys/seal-status': sealStatus(true, false),
  'sys/audit': data({ 'file/': { type: 'file', description: 'd', options: { file_path: 'log' } } }),
  'sys/policies/acl/operations': data({ policy: 'x' }),
  'sys/policies/acl/a': data({ policy: 'x\n' }),
  'sys/policies/acl?list=true': data({ keys: ['root', 'operations', 'a'] }),
  'sys/auth': data({ 'kubernetes/': { type: 'kubernetes', description: 'd' } }),
  'auth/kubernetes/config': data({ kubernetes_host: 'h' }),
  'kv/data/app': secret('p'),
};

/** The status of replicas that answer as a good one, except for these answers. */
async function statusOf(overrides: readonly Answers[], onUnknown: (reason: string) => void = () => {}) {
  const replicas = await Promise.all(
    overrides.map(async (answers) => {
      const { address } = await scriptedVault(({ path, method }) => {
        assert.is(method, 'GET');
        return answers[path] ?? good[path];
      });
      return { name: address, client: vaultClient({ address, token: 't', timeoutMs: 1000 }) };
    }),
  );
  return vaultStatus(replicas, state, { auditLog: 'log' }, onUnknown);
}

const open = { initialized: true, sealed: false };

test('Vault is configured with everything there; not if one thing is missing, empty or has another text', async () => {
  for (const [path, answer] of [
    ['sys/policies/acl/a', data({ policy: 'y' })],
    ['sys/audit', data({})],
    ['sys/policies/acl/operations', missing],
    ['auth/kubernetes/config', missing],
    ['kv/data/app', missing],
    ['kv/data/app', secret('')],
  ] as const)
    assert.equal(await statusOf([{ [path]: answer }]), { ...open, configured: false }, path);
  assert.equal(await statusOf([{}]), { ...open, configured: true });
});

test('a Vault that is sealed is asked no more', async () => {
  for (const initialized of [true, false]) {
    const answers: Answers = { 'sys/seal-status': sealStatus(initialized, true), 'sys/auth': 'silent' };
    assert.equal(await statusOf([answers]), { initialized, sealed: true, configured: false });
  }
});

test('something else than Vault, or no answer, says nothing', async () => {
  for (const answer of [{ text: '<html>' }, 'silent'] as const)
    assert.instance(await failureOf(statusOf([{ 'sys/seal-status': answer }])), VaultError);
});

test('after an answer that does not say it, it is unknown whether Vault is configured', async () => {
  const html = '<html>';
  for (const [path, answer] of [
    ['sys/auth', 'silent'],
    ['sys/auth', refused(403, 'permission denied')],
    ['sys/auth', refused(500, 'internal error')],
    ['sys/auth', refused(503, 'Vault is sealed')],
    ['sys/auth', { status: 200, text: '' }],
    ['sys/audit', { body: {} }],
    ['sys/policies/acl?list=true', refused(403, 'permission denied')],
    ['sys/policies/acl/a', { status: 404, text: html }],
    ['auth/kubernetes/config', { status: 404, body: {} }],
    ['kv/data/app', { status: 404, text: html }],
    ['kv/data/app', { status: 200, text: html }],
    ['kv/data/app', { body: {} }],
  ] as [string, Answer][]) {
    const reasons: string[] = [];
    const found = await statusOf([{ [path]: answer }], (reason) => reasons.push(reason));
    assert.equal(found, { ...open, configured: null }, path);
    assert.is(reasons.length, 1);
    assert.match(reasons[0] ?? '', path);
  }
});

test('one sealed replica counts as sealed, and an unsealed one is asked for the rest', async () => {
  const sealed: Answers = { 'sys/seal-status': sealStatus(true, true), 'sys/auth': 'silent' };
  const found = await statusOf([sealed, {}], assert.unreachable);
  assert.equal(found, { initialized: true, sealed: true, configured: true });
});

test.run();
