import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder } from '../../../lib/runner/tests/rig/folder.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { operatorToken } from '../../../lib/vault/api/operator.ts';
import { restoreSnapshot } from '../../../lib/vault/api/snapshot.ts';
import { keysAt } from '../../rig/keys-place.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import {
  type Answer,
  data,
  denied,
  emptyState,
  generated,
  keep,
  keysPath,
  refused,
  type Script,
  useKeys,
  vaultOf,
} from './scripted-vault.ts';

/* What tests/integration/vault does not show on a real server. */

useKeys(test);

const one = { unseal_keys_b64: ['a2V5'] };

const answers: { readonly [call: string]: Answer } = {
  'GET auth/token/lookup-self': denied,
  'GET sys/policies/acl/operations': data({ policy: 'rights' }),
  'PUT auth/token/revoke-self': { status: 204 },
};

/** Asks for the token with this keys file, of a Vault that opens with `a2V5` and has no valid token. */
async function run(keys: object, overrides: Script = () => undefined, secrets: string[] = []) {
  await keep(JSON.stringify(keys));
  const node = { initialized: true, sealed: false, key: 'a2V5' };
  const vault = await vaultOf(node, (call) => overrides(call) ?? answers[`${call.method} ${call.path}`]);
  await operatorToken({
    ...{ client: vaultClient(vault), state: emptyState('rights'), settings: {}, onChange: () => undefined },
    keysPlace: keysAt(keysPath, (text) => secrets.push(text)),
  });
}

const kept = async () => JSON.parse(await readFile(keysPath, 'utf8'));

test('an answer that is not Vault’s says nothing about a token', async () => {
  const keys = { ...one, admin_token: 'hvs.admin' };
  for (const [path, answer] of [
    ['auth/token/lookup-self', { body: {} }],
    ['auth/token/lookup-self', { status: 200, text: '' }],
    ['auth/token/lookup-self', { status: 403, text: '<html>forbidden</html>' }],
    ['sys/generate-root/attempt', { body: {} }],
    ['sys/generate-root/update', { body: {} }],
    ['sys/generate-root/update', { body: { complete: true } }],
  ] as const) {
    const running = run(keys, (call) =>
      call.path === path && call.method !== 'DELETE' ? answer : undefined,
    );
    await fails(running, { what: new RegExp(`^the answer of .* to \\w+ ${path} is not Vault's$`) });
    assert.equal(await kept(), keys);
  }
});

test('a root token is revoked and forgotten, even after a failure', async () => {
  const revoked: unknown[] = [];
  const secrets: string[] = [];
  const failing = run(
    one,
    ({ path, token }) => {
      if (path === 'auth/token/revoke-self') revoked.push(token);
      return path === 'auth/token/create-orphan' ? refused(500, 'disk') : undefined;
    },
    secrets,
  );
  await fails(failing, { why: 'disk' });
  assert.equal([revoked, [...new Set(secrets)], await kept()], [[generated], ['a2V5', generated], one]);
});

test('without keys there is no root token, and the error says who can generate one', async () => {
  const none = run({ admin_token: 'hvs.admin' });
  await fails(none, { why: /the keys are kept elsewhere/, advice: /`vault operator generate-root`/ });
  const foreign = { unseal_keys_b64: ['b3RoZXI='], admin_token: 'hvs.admin' };
  await fails(run(foreign), { why: 'wrong ***' });
  // A Vault that generates them for token holders only.
  const closed = run(one, ({ path, token }) =>
    path.startsWith('sys/generate-root/') && token === undefined ? denied : undefined,
  );
  await fails(closed, { advice: /enable_unauthenticated_access = \["generate-root"\]/ });
});

/* Runs that end while Vault takes a snapshot; tests/integration/vault has whole ones. */

const former = 'Zm9ybWVy';
const ofSnapshot = 'c25hcHNob3Q=';

/**
 * An open Vault, which seals itself when it has taken another's snapshot; `taken` is its answer to that, `asked` the
 * one about the token of before.
 */
async function openVault(taken: Answer, asked = (): Answer => denied) {
  const node = { initialized: true, sealed: false, key: former, restarts: false };
  const vault = await vaultOf(node, ({ method, path }) => {
    switch (`${method} ${path}`) {
      case 'POST sys/storage/raft/snapshot-force':
        node.sealed = node.restarts || taken === 'gone';
        if (!node.restarts) node.key = ofSnapshot;
        return taken;
      case 'POST sys/storage/raft/snapshot':
        node.sealed = node.restarts;
        return { status: 204 };
      case 'GET auth/token/lookup-self':
        return denied;
      case 'GET cubbyhole/before-the-restore':
        return asked();
      default:
        return /raft|revoke|cubbyhole/.test(path) ? { status: 204 } : undefined;
    }
  });
  await keep(JSON.stringify({ unseal_keys_b64: [former] }));
  const file = join(folder, 'raft.snap');
  await writeFile(file, '{}');
  const replicas = [{ name: 'vault-0', client: vaultClient(vault) }];
  const restore = (key: string, { signal } = new AbortController()) =>
    restoreSnapshot({
      ...{ replicas, keysPlace: keysAt(keysPath), file, keys: { unseal_keys_b64: [key] }, signal },
    });
  return {
    ...{ node, restore, requests: vault.requests },
    unseal: () => unsealVault({ replicas, keysPlace: keysAt(keysPath) }),
    stored: async () => (await readKeys(keysAt(keysPath)))?.unseal_keys_b64,
  };
}

test('until the keys of the snapshot have opened Vault, the former ones stay, which have no other copy', async () => {
  const controller = new AbortController();
  const vault = await openVault({ status: 204 }, () => {
    controller.abort(new Error('stopped'));
    return data({ value: 'here' });
  });
  assert.match((await failureOf(vault.restore(ofSnapshot, controller))).message, 'abort');
  assert.equal(await vault.stored(), [former]);
});

test('after a run killed meanwhile, the same restore opens Vault with the keys of the backup', async () => {
  const vault = await openVault('gone');
  await fails(vault.restore(ofSnapshot), { what: /cannot be reached/ });
  assert.equal(await vault.stored(), [former]);
  const advice = /after an interrupted `?.*restore-vault`?, run it again/;
  await fails(vault.unseal(), { what: /stays sealed/, advice });

  await fails(vault.restore('b3RoZXI='), { what: /the keys of the backup do not open it/ });
  assert.equal(await vault.stored(), [former]);
  assert.equal(await vault.restore(ofSnapshot), { others: false, late: [] });
  assert.equal(await vault.stored(), [ofSnapshot]);
  assert.is(vault.requests().filter((call) => call === 'POST sys/storage/raft/snapshot').length, 1);
  assert.ok(existsSync(`${keysPath}.1`), 'the former keys are kept');
});

test('after a restart in between, Vault is open again with the former keys', async () => {
  const vault = await openVault({ status: 204 });
  vault.node.restarts = true;
  const what = 'Vault did not restore the snapshot';
  await fails(vault.restore(ofSnapshot), { what, advice: /restore-vault.* again/ });
  assert.equal([await vault.stored(), vault.node.sealed], [[former], false]);
  assert.is((await readKeys(keysAt(keysPath)))?.root_token, generated, 'the next run revokes it');
  // With the same keys, too: Vault has no reason to seal itself.
  await fails(vault.restore(former), { what });
});

test('so does it if a key service has opened Vault, whose recovery keys are others', async () => {
  const { node, restore, stored } = await openVault('gone');
  await failureOf(restore(ofSnapshot));
  node.sealed = false;
  assert.equal([(await restore(ofSnapshot)).others, await stored()], [false, [ofSnapshot]]);
});

test.run();
