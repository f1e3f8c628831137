import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder } from '../../../lib/runner/tests/rig/folder.ts';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault, waitForVault } from '../../../lib/vault/api/init.ts';
import { keysNeverStored, readKeys } from '../../../lib/vault/api/keys-file.ts';
import { keysAt } from '../../rig/keys-place.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import {
  type Answer,
  keep,
  keysPath,
  type Node,
  refused,
  type ScriptedVault,
  scriptedVault,
  useKeys,
  vaultOf,
} from './scripted-vault.ts';

/* What tests/integration/vault does not show on real servers. */

const stored = JSON.stringify({ unseal_keys_b64: ['a2V5'], root_token: 'hvs.root' });

useKeys(test);

const fresh = (): Node => ({ initialized: false, sealed: true, key: 'a2V5' });
const closed = (): Node => ({ ...fresh(), initialized: true });

/** A Vault in this state that answers one path in its own way. */
const vaultWith = (node: Node, path: string, answer: () => Answer | undefined) =>
  vaultOf(node, (call) => (call.path === path ? answer() : undefined));

const inputOf = (servers: readonly ScriptedVault[], { signal } = new AbortController()) => ({
  ...{ keysPlace: keysAt(keysPath), signal },
  replicas: servers.map(({ address }, index) => ({
    name: `vault-${index}`,
    client: vaultClient({ address, signal }),
  })),
});
const initialise = (vault: ScriptedVault, run?: AbortController) => initialiseVault(inputOf([vault], run));

test('the keys are in place, for the owner only, before Vault is asked for anything else', async () => {
  const vault = await vaultWith(fresh(), 'sys/unseal', () => refused(500, 'internal error'));
  await failureOf(initialise(vault));
  assert.is(JSON.stringify(JSON.parse(await readFile(keysPath, 'utf8'))), stored);
  assert.is((await stat(dirname(keysPath))).mode & 0o777, 0o700);
  assert.equal(await readdir(dirname(keysPath)), ['keys.json']);
});

test('an interrupted run still gets and keeps the keys', async () => {
  const controller = new AbortController();
  const vault = await vaultWith(fresh(), 'sys/init', () => {
    controller.abort(new Error('stopped'));
    return undefined;
  });
  assert.is((await failureOf(initialise(vault, controller))).message, 'stopped');
  assert.equal((await readKeys(keysAt(keysPath)))?.unseal_keys_b64, ['a2V5']);
});

test('Vault is not initialised if its keys cannot be stored; if it refuses, no file stays', async () => {
  const refusing = await vaultWith(fresh(), 'sys/init', () => refused(400, 'no storage'));
  await fails(initialise(refusing), { why: 'no storage' });
  assert.equal(await readdir(dirname(keysPath)), []);
  const vault = await vaultOf(fresh());
  await rm(join(folder, 'vault'), { recursive: true });
  await writeFile(join(folder, 'vault'), 'a file where the folder should be');
  await fails(initialise(vault), { what: `the Vault keys cannot be stored at ${keysPath}` });
  assert.equal(new Set(vault.requests()), new Set(['GET sys/seal-status']));
});

test('keys of an earlier Vault are kept aside', async () => {
  await keep('earlier');
  await keep('even earlier', `${keysPath}.1`);
  await initialise(await vaultOf(fresh()));
  assert.equal((await readdir(dirname(keysPath))).sort(), ['keys.json', 'keys.json.1', 'keys.json.2']);
  assert.is(await readFile(`${keysPath}.2`, 'utf8'), 'earlier');
});

test('keys of another Vault are never shown; too few, or kept elsewhere, are an error with advice', async () => {
  await keep(stored.replace('a2V5', 'b3RoZXI='));
  const vault = await vaultOf(closed());
  const what = `Vault at ${vault.address} stays sealed: the keys of ${keysPath} do not open it`;
  await fails(initialise(vault), { what, why: 'wrong ***' });
  const sealed = await vaultWith(closed(), 'sys/unseal', () => ({ body: { sealed: true } }));
  await fails(initialise(sealed), { why: 'it is still sealed after 1 of the keys' });
  await keep(JSON.stringify({ unseal_keys_b64: [], admin_token: 'hvs.admin' }));
  const elsewhere = unsealVault(inputOf([vault]));
  await fails(elsewhere, { what: /holds no unseal key/, advice: /`vault operator unseal`/ });
});

test('a replica with other data can take that of the others, but only if they serve', async () => {
  await keep(stored);
  const other = () => vaultOf({ ...closed(), key: 'b3RoZXI=' });
  const serving = [await vaultOf(closed()), await vaultOf(closed()), await other()];
  // Both when it opens the others, and when they are open.
  for (const _ of serving) {
    const what = /do not open vault-2, while the other replicas of Vault serve/;
    await fails(initialiseVault(inputOf(serving)), { what, advice: /delete pvc data-vault-2 / });
  }
  // These may have the data of a restore that was interrupted; nor does one that lost its data wait for them.
  const interrupted = [await other(), await other(), await vaultOf(closed()), await vaultOf(fresh())];
  const { what, advice } = await failureOf(initialiseVault(inputOf(interrupted)));
  assert.match(what, /stays sealed/);
  assert.match(`${advice}`, /^(?!.*pvc).*restore-vault/);
});

test('a damaged keys file is an error that names it; so is an unreadable one', async () => {
  const wrong = '{"unseal_keys_b64": [1], "root_token": "x"}';
  for (const text of ['', '{"unseal_keys_b64": ["a2V5"', '{"unseal_keys_b64": []}', wrong]) {
    await keep(text);
    await fails(readKeys(keysAt(keysPath)), { what: `the Vault keys in ${keysPath} are damaged` });
  }
  await rm(keysPath);
  await mkdir(keysPath);
  await fails(readKeys(keysAt(keysPath)), { what: `cannot read ${keysPath}` });
});

test('a first replica that lost its data joins the others instead of being initialised again', async () => {
  const [lost, other] = [fresh(), closed()];
  let asked = 0;
  const first = await vaultOf(lost, ({ path }) => {
    // It has to ask a few times until it has found the others, and answers before it has fetched its data.
    if (path === 'sys/seal-status' && !other.sealed) lost.initialized = ++asked > 1;
    if (path !== 'sys/unseal') return undefined;
    lost.sealed = false;
    return { body: { sealed: true, storage_type: 'raft', progress: 0 } };
  });
  await keep(stored);
  const { initialised, unsealed } = await initialiseVault(inputOf([first, await vaultOf(other)]));
  assert.equal([initialised, unsealed], [false, ['vault-1', 'vault-0']]);
});

test('no Vault is initialised beside an old one whose replicas do not run', async () => {
  const vault = await vaultOf(fresh());
  const input = { ...inputOf([vault]), absent: ['vault-1', 'vault-2'] };
  await keep(stored);
  const what = `Vault at ${vault.address} is new, but ${keysPath} has keys`;
  const why = /^vault-1, vault-2 do not run, and may hold/;
  await fails(initialiseVault(input), { what, why, advice: new RegExp(keysPath) });
  assert.equal(vault.requests(), ['GET sys/seal-status']);
  await rm(keysPath);
  assert.is((await initialiseVault(input)).initialised, true);
});

test('waitForVault waits for a Vault that starts, and throws the last reason otherwise', async () => {
  const starting = { status: 502, text: 'starting' };
  const answers = [starting, starting];
  const { address } = await scriptedVault(() => answers.pop() ?? { body: fresh() });
  await waitForVault(vaultClient({ address }), 60_000);
  assert.equal(answers, []);
  const never = await scriptedVault(() => starting);
  await fails(waitForVault(vaultClient(never), 30), { why: 'HTTP 502' });
});

test('an answer without a state does not mean a new Vault', async () => {
  for (const answer of [
    ...[{ status: 200, text: '' }, { body: { initialized: 'no', sealed: true } }],
    { body: { initialized: false } },
  ]) {
    const vault = await scriptedVault(() => answer);
    await fails(initialise(vault), {
      what: `the answer of ${vault.address} to GET sys/seal-status is not Vault's`,
    });
    assert.equal(vault.requests(), ['GET sys/seal-status']);
  }
  // Nor does an initialisation without keys, or without an answer.
  for (const [answer, what] of [
    [{ body: {} }, /^the answer of .* to PUT sys\/init is not Vault's$/],
    ['gone', /cannot be reached$/],
  ] as const) {
    const vault = await vaultWith(fresh(), 'sys/init', () => answer);
    await fails(initialise(vault), { what });
    assert.equal([await keysNeverStored(keysPath), await readKeys(keysAt(keysPath))], [true, undefined]);
  }
});

test('a Vault that cannot unseal now, or says nothing, does not mean that the keys are wrong', async () => {
  await keep(stored);
  for (const status of [500, 503, 429, 200]) {
    const vault = await vaultWith(closed(), 'sys/unseal', () => refused(status, 'storage is not reachable'));
    const { what, advice } = await failureOf(unsealVault(inputOf([vault])));
    assert.match(what, status === 200 ? "to PUT sys/unseal is not Vault's" : 'PUT sys/unseal with HTTP ');
    assert.not.match(`${advice}`, 'destroy');
  }
});

test.run();
