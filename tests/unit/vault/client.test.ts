import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { type VaultClientInput, vaultClient } from '../../../lib/vault/api/client.ts';
import type { DesiredState } from '../../../lib/vault/api/state-schema.ts';
import { VaultError } from '../../../lib/vault/api/vault-error.ts';
import { checkVault, vaultStatus } from '../../../lib/vault/health.ts';
import { answeringShell, fails, failureOf, taskContext } from '../../rig/task-context.ts';
import {
  type Answer,
  connection,
  data,
  emptyState,
  missing,
  refused,
  scriptedVault,
} from './scripted-vault.ts';

/** How reading `x` fails at a server that always answers so. */
async function failureAt(answer: Answer, input: Omit<VaultClientInput, 'address'> = { token: 't' }) {
  const { address, calls } = await scriptedVault(() => answer);
  const { what, why, advice, message } = await failureOf(vaultClient({ address, ...input }).read('x'));
  return { what: what?.replace(address, 'ADDRESS'), why, advice, message, calls: calls.length };
}

test('an error has Vault’s text on one line, and advice; an answer of others is not shown, a redirect not followed', async () => {
  const location = 'http://10.0.0.9:8200/v1/x';
  for (const [answer, what, why, advice] of [
    [refused(503, 'Vault is sealed'), 'Vault at ADDRESS is sealed', 'GET x: Vault is sealed', 'init-vault'],
    [
      ...[refused(403, '1 error occurred:\n\t* permission denied\n\n'), 'Vault refused GET x with HTTP 403'],
      ...['1 error occurred: * permission denied', 'token'],
    ],
    [
      ...[{ status: 502, text: '<html>Bad Gateway</html>' }, 'Vault refused GET x with HTTP 502'],
      ...['HTTP 502', 'log of Vault'],
    ],
    [
      ...[{ text: '{"data": {"password": "hunter22' }, "the answer of ADDRESS to GET x is not Vault's"],
      ...['HTTP 200 without a JSON object', 'address'],
    ],
    // The token goes nowhere else.
    [
      ...[{ status: 307, location }, 'Vault at ADDRESS is not the active node'],
      ...['GET x: it points to http://10.0.0.9:8200', 'active'],
    ],
  ] as [Answer, string, string, string][]) {
    const failure = await failureAt(answer);
    assert.equal([failure.what, failure.why, failure.calls], [what, why, 1]);
    assert.match(failure.advice, advice);
  }
});

test('an error shows neither the token nor a secret of the request, even if one contains the other', async () => {
  const { address } = await scriptedVault(() => refused(400, 'bad value hunter22 for hvs.token, not hunt'));
  const client = vaultClient({ address, token: 'hvs.token' });
  const secrets = ['hunt', 'hunter22', '', 'a'];
  const writing = client.write('kv/data/x', { p: 'hunter22' }, { secrets });
  await fails(writing, { why: 'bad value *** for ***, not ***' });
});

test('only Vault says that something is missing', async () => {
  for (const answer of [
    ...[404, 200].flatMap((status) => ['<html>', ''].map((text) => ({ status, text }))),
    ...[{ status: 404, body: {} }, { body: {} }, { body: { data: null } }],
  ])
    assert.is((await failureAt(answer)).what, "the answer of ADDRESS to GET x is not Vault's");
});

test('without a listener or an answer, the error has the reason, or that of an aborted run', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  await fails(vaultClient({ address: `http://${address}` }).read('x'), {
    what: `Vault at http://${address} cannot be reached`,
    why: `GET x: connect ECONNREFUSED ${address}`,
    advice: /start-k8s/,
  });
  assert.is((await failureAt('silent', { timeoutMs: 30 })).why, 'GET x: no answer within 0.03 s');
  const signal = AbortSignal.abort(new Error('stopped'));
  assert.is((await failureAt('silent', { signal })).message, 'stopped');
});

type Answers = { readonly [path: string]: Answer };

const sealStatus = (initialized: boolean, sealed: boolean): Answer => ({ body: { initialized, sealed } });
const secret = (value: string) => data({ data: { DB_PASSWORD: value }, metadata: { version: 1 } });
const good: Answers = {
  'sys/seal-status': sealStatus(true, false),
  'sys/audit': data({ 'file/': { type: 'file', description: 'd', options: { file_path: 'log' } } }),
  'sys/policies/acl/operations': data({ policy: 'x' }),
  'sys/policies/acl/a': data({ policy: 'x\n' }),
  'sys/policies/acl?list=true': data({ keys: ['root', 'operations', 'a'] }),
  'sys/mounts': data({ 'db/': { type: 'database', description: 'd' } }),
  'db/config/pg': data({ connection_details: { tls_ca: 'PEM' } }),
  'sys/auth': data({ 'kubernetes/': { type: 'kubernetes', description: 'd' } }),
  'auth/kubernetes/config': data({ kubernetes_host: 'h' }),
  'kv/data/app': secret('p'),
};

/** The status of replicas that answer as a good one, except for these answers: initialised, sealed, configured. */
async function statusOf(...overrides: readonly Answers[]) {
  const replicas = await Promise.all(
    overrides.map(async (answers) => {
      const { address } = await scriptedVault(({ path, method }) => {
        assert.is(method, 'GET');
        return answers[path] ?? good[path];
      });
      return { name: address, client: vaultClient({ address, token: 't' }) };
    }),
  );
  const state: DesiredState = {
    ...emptyState(),
    audit: [{ path: 'file', type: 'file', description: 'd', file: { setting: 'auditLog' } }],
    mounts: [
      { path: 'db', type: 'database', description: 'd', keys: [], logins: [], connections: [connection] },
    ],
    policies: [{ name: 'a', files: ['a.hcl'], text: 'x' }],
    auth: [{ path: 'kubernetes', type: 'kubernetes', description: 'd', roles: [] }],
    keyValues: [
      { mount: 'kv', path: 'app', values: [{ name: 'DB_PASSWORD', from: { file: 'f', key: 'k' } }] },
    ],
  };
  const settings = { auditLog: 'log' };
  const { initialized, sealed, configured } = await vaultStatus(replicas, state, settings, 'PEM');
  return [initialized, sealed, configured];
}

test('Vault is configured with everything there; not if one thing is missing, empty or has another text', async () => {
  for (const [path, answer] of [
    ['sys/policies/acl/a', data({ policy: 'y' })],
    ['sys/audit', data({})],
    ['sys/policies/acl/operations', missing],
    ['db/config/pg', data({ connection_details: { tls_ca: 'of a former authority' } })],
    ['auth/kubernetes/config', missing],
    ['kv/data/app', missing],
    ['kv/data/app', secret('')],
  ] as const)
    assert.equal(await statusOf({ [path]: answer }), [true, false, false], path);
  assert.equal(await statusOf({}), [true, false, true]);
});

test('a Vault that is sealed is asked no more; an unsealed replica is asked for the rest', async () => {
  const sealed = (initialized: boolean): Answers => ({
    ...{ 'sys/seal-status': sealStatus(initialized, true), 'sys/auth': 'gone' },
  });
  for (const initialized of [true, false])
    assert.equal(await statusOf(sealed(initialized)), [initialized, true, false]);
  assert.equal(await statusOf(sealed(true), {}), [true, true, true]);
});

test('after an answer that does not say it, it is unknown whether Vault is configured, or even there', async () => {
  for (const answer of [{ text: '<html>' }, 'gone'] as const)
    assert.instance(await failureOf(statusOf({ 'sys/seal-status': answer })), VaultError);
  for (const [path, answer] of [
    ['sys/auth', 'gone'],
    ['sys/auth', refused(403, 'permission denied')],
    ['sys/policies/acl?list=true', refused(403, 'permission denied')],
    ['auth/kubernetes/config', { status: 404, body: {} }],
    ['kv/data/app', { status: 404, text: '<html>' }],
    ['kv/data/app', { body: {} }],
  ] as [string, Answer][]) {
    const [initialized, sealed, reason] = await statusOf({ [path]: answer });
    assert.equal([initialized, sealed], [true, false], path);
    assert.match(String(reason), path);
  }
});

const shell = answeringShell(() => ({ exitCode: 1, stderr: 'error: no running pods' }));
const context = { ...taskContext({ env: 'development', provider: 'existing', context: 'team' }), $: shell };

test('only releases that get secrets from Vault need one that answers', async () => {
  await checkVault(context, await declaredReleases(root, { app: 'app2' }));
  for (const selection of [{ app: 'app1' }, {}]) {
    await fails(checkVault(context, await declaredReleases(root, selection)), {
      what: 'Vault of environment `development` does not answer',
      why: /app1-back(, app1-front)? would wait for secrets from it; nothing was changed$/,
      advice: /create-environment/,
    });
  }
});

test.run();
