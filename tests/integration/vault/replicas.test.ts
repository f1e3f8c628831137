import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../../lib/ground/poll.ts';
import { type VaultClient, vaultClient } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { generateRootToken } from '../../../lib/vault/api/operator.ts';
import { awaitServing, membershipOf, sealStatus, stepDown } from '../../../lib/vault/api/replica.ts';
import { restoreSnapshot, saveSnapshot } from '../../../lib/vault/api/snapshot.ts';
import { keysAt } from '../../rig/keys-place.ts';
import { failureOf } from '../../rig/task-context.ts';
import { newPlace, type RealVault, realVault, startMs, type VaultPlace } from './real-vault.ts';

const test = suite('vault, several real servers');
const places = [await newPlace(), await newPlace(), await newPlace()];
const servers = await serversAt(places);
const { keysPlace } = servers[0] as RealVault;
test.after(async () => {
  for (const server of servers) await server.remove();
});

const replicasOf = (servers: RealVault[]) =>
  servers.map((server, index) => ({ name: `vault-${index}`, client: vaultClient(server) }));
const replicas = replicasOf(servers);

/** Initialises and unseals those that need it; its client is the active one's. */
const initialise = (of = replicas) => initialiseVault({ replicas: of, keysPlace });

const sealed = (of = replicas) =>
  Promise.all(of.map(async ({ client }) => (await sealStatus(client)).sealed));

async function serversAt(places: readonly VaultPlace[]): Promise<RealVault[]> {
  const servers = await Promise.all(
    places.map((place) => realVault({ place, joins: places.filter((other) => other !== place) })),
  );
  await Promise.all(servers.map((server) => server.start()));
  return servers;
}

const rootToken = async (): Promise<string> => (await readKeys(keysPlace))?.root_token ?? '';

const activeClient = async (): Promise<VaultClient> =>
  (await initialise()).client.withToken(await rootToken());

test('one is initialised, and all are unsealed and share their data', async () => {
  const { client, initialised, unsealed } = await initialise();
  assert.equal([initialised, unsealed], [true, ['vault-0', 'vault-1', 'vault-2']]);
  assert.equal(await sealed(), [false, false, false]);
  const token = await rootToken();
  await client.withToken(token).write('cubbyhole/shared', { value: 'yes' });
  await waitForVotes(client.withToken(token));
  // A standby forwards the call to the active server.
  const standby = replicas.find((replica) => replica.client.address !== client.address);
  assert.equal(await standby?.client.withToken(token).read('cubbyhole/shared'), { value: 'yes' });
});

test('each tells of itself whether it leads, follows and has the data; another leads after a step-down', async () => {
  const members = () => Promise.all(replicas.map(({ client }) => membershipOf(client)));
  const before = await members();
  const leader = before.findIndex(({ active }) => active);
  for (const [index, { initialized, sealed, joined, active, autoUnseal }] of before.entries())
    assert.equal(
      [initialized, sealed, joined, active, autoUnseal],
      [true, false, true, index === leader, false],
    );
  const agreed = before[leader]?.index ?? 0;
  assert.ok(agreed > 0);
  await stepDown(await activeClient());
  const another = async () => {
    const after = await members();
    const next = after.findIndex(({ active }) => active);
    const follows = after.every(({ joined, index }) => joined && index >= agreed);
    return (next >= 0 && next !== leader && follows) || undefined;
  };
  assert.ok(await poll(another, startMs));
});

/** A new replica becomes a voter only after a while; without two voters, no leader can follow a dead one. */
async function waitForVotes(client: VaultClient): Promise<void> {
  await client.write('sys/storage/raft/autopilot/configuration', { server_stabilization_time: '1s' });
  const voters = async () => {
    const answer = (await client.read('sys/storage/raft/configuration')) as {
      config: { servers: { voter: boolean }[] };
    };
    return answer.config.servers.filter(({ voter }) => voter).length === 3 || undefined;
  };
  assert.ok(await poll(voters, startMs));
}

test('if the active replica dies, another takes over, and only the returning one is unsealed', async () => {
  const { address } = (await initialise()).client;
  const dead = servers.findIndex((server) => server.address === address);
  const left = replicas.filter((_, index) => index !== dead);
  await servers[dead]?.stop();
  const { client } = await initialise(left);
  assert.ok(left.some((replica) => replica.client.address === client.address));
  assert.equal(await client.withToken(await rootToken()).read('cubbyhole/shared'), { value: 'yes' });
  await servers[dead]?.start();
  assert.equal(
    await sealed(),
    servers.map((_, index) => index === dead),
  );
  assert.equal((await initialise()).unsealed, [`vault-${dead}`]);
  assert.equal(await sealed(), [false, false, false]);
});

test('a server with auto-unseal needs no key and gets a recovery key', async () => {
  const client = await activeClient();
  await client.write('sys/mounts/transit', { type: 'transit' });
  await client.write('transit/keys/unseal', {});
  const seal = {
    transit: {
      address: client.address,
      token: await rootToken(),
      key_name: 'unseal',
      mount_path: 'transit/',
      disable_renewal: 'true',
      tls_ca_cert: servers[0]?.authorityFile,
    },
  };
  const own = await realVault({ seal });
  try {
    await own.start();
    const input = { replicas: replicasOf([own]), keysPlace: own.keysPlace };
    const first = await initialiseVault(input);
    assert.equal([first.initialised, first.unsealed], [true, []]);
    const keys = await readKeys(own.keysPlace);
    assert.equal([keys?.unseal_keys_b64.length, keys?.recovery_keys_b64?.length], [0, 1]);
    assert.ok(keys && (await generateRootToken(first.client, keys)) !== '');
    await own.stop();
    await own.start();
    assert.is(await unsealVault(input), 'unchanged');
    assert.equal(await sealed(replicasOf([own])), [false]);
  } finally {
    await own.remove();
  }
});

test('three servers that lost their disks get back the data of a snapshot, and its keys', async () => {
  const signal = new AbortController().signal;
  const client = await activeClient();
  const { root_token: token = '', ...keys } = (await readKeys(keysPlace)) ?? { unseal_keys_b64: [] };
  const file = join(servers[0]?.folder ?? '', 'raft.snap');
  await client.write('sys/mounts/kv', { type: 'kv' });
  await client.write('kv/word', { value: 'remembered' });
  await saveSnapshot(client.withToken(token), file, signal);
  assert.is((await stat(file)).mode & 0o777, 0o600);

  await Promise.all(servers.map((server) => server.stop()));
  const others = await serversAt(places);
  try {
    const replicas = replicasOf(others);
    const path = others[0]?.keysPath ?? '';
    const keysPlace = keysAt(path);
    const input = { replicas, keysPlace, file, signal };
    const refused = await failureOf(restoreSnapshot({ ...input, keys: undefined }));
    assert.match(refused.message, /Vault refused the snapshot/);
    const own = (await readKeys(keysPlace)) ?? { unseal_keys_b64: [] };
    assert.is(own.root_token, undefined, 'the root token is revoked');

    // One misses the restore, and cannot follow: the others have the snapshot's certificates of raft, too.
    const unseal = async () => (await initialiseVault({ replicas, keysPlace })).unsealed;
    const { client: leader } = await initialiseVault({ replicas, keysPlace });
    await waitForVotes(leader.withToken(await generateRootToken(leader, own)));
    const index = replicas.findIndex((replica) => replica.client !== leader);
    const late = others[index];
    const restored = await restoreSnapshot({ ...input, keys, keysPlace: keysAt(path, () => late?.pause()) });
    assert.equal(restored, { others: true, late: [`vault-${index}`] });
    assert.equal(await readKeys(keysPlace), keys);
    assert.ok(existsSync(`${path}.1`), 'the other keys are kept');
    late?.resume();
    await unseal();
    const found = await awaitServing(replicas, 10_000);
    const behind = replicas.map((_, other) => (other === index ? 'its data are behind' : undefined));
    assert.equal(
      found.map(({ why }) => why),
      behind,
    );
    await late?.stop();
    await late?.start();
    const { what, advice } = await failureOf(unseal());
    assert.match(what, `do not open vault-${index}, while the other`);
    assert.match(advice, `delete pvc data-vault-${index}`);
    await late?.stop();
    await late?.lose();
    await late?.start();
    assert.equal(await unseal(), [`vault-${index}`]);
    assert.equal(await sealed(replicas), [false, false, false]);
    const { client: active } = await initialiseVault({ replicas, keysPlace });
    assert.equal(await active.withToken(token).read('kv/word'), { value: 'remembered' });
    // The same keys: nothing is sealed, and one that follows is not restarted.
    await active.withToken(token).write('kv/word', { value: 'lost' });
    const again = await restoreSnapshot({ ...input, keys, keysPlace: keysAt(path, () => late?.pause()) });
    late?.resume();
    assert.equal(again, { others: false, late: [`vault-${index}`] });
  } finally {
    await Promise.all(others.map((server) => server.remove()));
  }
});

test.run();
