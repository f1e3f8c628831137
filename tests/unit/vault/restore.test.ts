import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder } from '../../../lib/runner/tests/rig/folder.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { restoreSnapshot } from '../../../lib/vault/api/snapshot.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { type Answer, data, keep, keysPath, refused, scriptedVault, useKeys } from './scripted-vault.ts';

/* Runs that end while Vault takes a snapshot; tests/integration/vault has whole ones. */

useKeys(test);

const former = 'Zm9ybWVy';
const ofSnapshot = 'c25hcHNob3Q=';

/**
 * An open Vault, which seals itself when it has taken another's snapshot; `taken` is its answer to that, `asked` the
 * one about the token of before.
 */
async function openVault(taken: Answer, asked = (): Answer => refused(403, 'permission denied')) {
  const node = { key: former, sealed: false };
  const vault = await scriptedVault(({ method, path, body }): Answer | undefined => {
    const opens = body.key === node.key;
    switch (`${method} ${path}`) {
      case 'GET sys/seal-status':
        return { body: { initialized: true, sealed: node.sealed, storage_type: 'raft' } };
      case 'GET sys/health':
        return { status: node.sealed ? 503 : 200, body: { standby: false } };
      case 'PUT sys/unseal':
        node.sealed = !opens;
        return opens ? { body: { sealed: false } } : refused(400, 'message authentication failed');
      case 'PUT sys/generate-root/attempt':
        return { body: { nonce: 'n', otp: '0000' } };
      case 'PUT sys/generate-root/update':
        return opens ? { body: { complete: true, encoded_root_token: 'aGVs' } } : refused(400, 'invalid key');
      case 'POST sys/storage/raft/snapshot-force':
        Object.assign(node, { key: ofSnapshot, sealed: taken === 'gone' });
        return taken;
      case 'GET auth/token/lookup-self':
        return refused(403, 'permission denied');
      case 'GET cubbyhole/before-the-restore':
        return asked();
      default:
        return { status: 204 };
    }
  });
  await keep(JSON.stringify({ unseal_keys_b64: [former] }));
  const file = join(folder, 'raft.snap');
  await writeFile(file, '{}');
  const { signal } = new AbortController();
  const replicas = [{ name: 'vault-0', client: vaultClient(vault) }];
  const restore = (key: string, stop: AbortSignal = signal) =>
    restoreSnapshot({
      ...{ replicas, keysPath, file, keys: { unsealKeys: [key] }, signal: stop, secret: () => undefined },
    });
  return {
    ...{ node, restore, requests: vault.requests },
    unseal: () => unsealVault({ replicas, keysPath }),
    stored: async () => (await readKeys(keysPath))?.unsealKeys,
  };
}

test('the keys are stored as soon as Vault has taken the snapshot', async () => {
  const controller = new AbortController();
  const stop = () => {
    controller.abort(new Error('stopped'));
    return data({ value: 'here' });
  };
  const vault = await openVault({ status: 204 }, stop);
  assert.match((await failureOf(vault.restore(ofSnapshot, controller.signal))).message, 'abort');
  assert.equal(await vault.stored(), [ofSnapshot]);
});

test('after a run killed before that, the same restore opens Vault with the keys of the backup', async () => {
  const vault = await openVault('gone');
  await fails(vault.restore(ofSnapshot), { what: /cannot be reached/ });
  assert.equal(await vault.stored(), [former]);
  const advice = /after an interrupted `?.*restore-vault`?, run it again/;
  await fails(vault.unseal(), { what: /stays sealed/, advice });

  await fails(vault.restore('b3RoZXI='), { what: /the keys of the backup do not open it/ });
  assert.equal(await vault.stored(), [former]);
  assert.is(await vault.restore(ofSnapshot), false);
  assert.equal(await vault.stored(), [ofSnapshot]);
  assert.is(vault.requests().filter((call) => call === 'POST sys/storage/raft/snapshot').length, 1);
  assert.ok(existsSync(`${keysPath}.1`), 'the former keys are kept');
});

test('so does it if a key service has opened Vault, whose recovery keys are others', async () => {
  const vault = await openVault('gone');
  await failureOf(vault.restore(ofSnapshot));
  vault.node.sealed = false;
  assert.is(await vault.restore(ofSnapshot), false);
  assert.equal(await vault.stored(), [ofSnapshot]);
});

test.run();
