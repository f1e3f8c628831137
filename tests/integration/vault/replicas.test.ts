import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poll } from '../../../lib/ground/poll.ts';
import { freePort } from '../../../lib/runner/tests/rig/free-port.ts';
import { type VaultClient, vaultClient } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { membershipOf, stepDown } from '../../../lib/vault/api/membership.ts';
import { sealStatus } from '../../../lib/vault/api/replica.ts';
import { restoreSnapshot } from '../../../lib/vault/api/restore.ts';
import { generateRootToken } from '../../../lib/vault/api/root-token.ts';
import { saveSnapshot } from '../../../lib/vault/api/snapshot.ts';
import { failureOf } from '../../rig/task-context.ts';
import { type RealVault, realVault, type VaultPlace } from './real-vault.ts';

type Context = { places: VaultPlace[]; servers: RealVault[]; keysPath: string };
const test = suite<Context>('vault, several real servers');

const replicasOf = (servers: RealVault[]) =>
  servers.map((server, index) => ({ name: `vault-${index}`, client: vaultClient(server) }));

const sealed = (servers: RealVault[]) =>
  Promise.all(replicasOf(servers).map(async ({ client }) => (await sealStatus(client)).sealed));

// A test, not a hook: uvu ignores an error in `before` and exits with 0.
test('three real servers start and know each other', async (context) => {
  context.places = [];
  for (let count = 0; count < 3; count += 1)
    context.places.push({ port: await freePort(), clusterPort: await freePort() });
  context.servers = await serversAt(context.places);
  context.keysPath = context.servers[0]?.keysPath ?? '';
});

async function serversAt(places: readonly VaultPlace[]): Promise<RealVault[]> {
  const servers = await Promise.all(
    places.map((place) => realVault({ place, joins: places.filter((other) => other !== place) })),
  );
  await Promise.all(servers.map((server) => server.start())).catch(async (error) => {
    // They would keep the test running.
    await Promise.all(servers.map((server) => server.remove()));
    throw error;
  });
  return servers;
}

test.after(async ({ servers }) => {
  await Promise.all((servers ?? []).map((server) => server.remove()));
});

test('one is initialised, and all are unsealed and share their data', async ({ servers, keysPath }) => {
  const { client, initialised, unsealed } = await initialiseVault({
    replicas: replicasOf(servers),
    keysPath,
  });
  assert.equal([initialised, unsealed], [true, ['vault-0', 'vault-1', 'vault-2']]);
  assert.equal(await sealed(servers), [false, false, false]);
  const { rootToken = '' } = (await readKeys(keysPath)) ?? {};
  await client.withToken(rootToken).write('cubbyhole/shared', { value: 'yes' });
  await waitForVotes(client.withToken(rootToken));
  // A standby forwards the call to the active server.
  const standby = replicasOf(servers).find((replica) => replica.client.address !== client.address);
  assert.equal(await standby?.client.withToken(rootToken).read('cubbyhole/shared'), { value: 'yes' });
});

test('each tells of itself whether it leads, follows and has the data; another leads after a step-down', async ({
  servers,
  keysPath,
}) => {
  const replicas = replicasOf(servers);
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
  const client = replicas[leader]?.client;
  assert.ok(client);
  await stepDown(client.withToken((await readKeys(keysPath))?.rootToken ?? ''));
  const another = async () => {
    const after = await members();
    const next = after.findIndex(({ active }) => active);
    return next >= 0 && next !== leader && after.every(({ joined, index }) => joined && index >= agreed)
      ? true
      : undefined;
  };
  assert.ok(await poll(another, 60_000));
});

/** A new replica becomes a voter only after a while; without two voters, no leader can follow a dead one. */
async function waitForVotes(client: VaultClient): Promise<void> {
  await client.write('sys/storage/raft/autopilot/configuration', { server_stabilization_time: '1s' });
  const voters = async () => {
    const answer = (await client.read('sys/storage/raft/configuration')) as {
      config: { servers: { voter: boolean }[] };
    };
    return answer.config.servers.filter(({ voter }) => voter).length === 3 ? true : undefined;
  };
  assert.ok(await poll(voters, 40_000));
}

test('if the active replica dies, another takes over, and only the returning one is unsealed', async ({
  servers,
  keysPath,
}) => {
  const keys = await readKeys(keysPath);
  await servers[0]?.stop();
  const left = servers.slice(1);
  const { client } = await initialiseVault({ replicas: replicasOf(left), keysPath });
  assert.ok(left.some(({ address }) => address === client.address));
  assert.equal(await client.withToken(keys?.rootToken ?? '').read('cubbyhole/shared'), { value: 'yes' });
  await servers[0]?.start();
  assert.equal(await sealed(servers), [true, false, false]);
  const { unsealed } = await initialiseVault({ replicas: replicasOf(servers), keysPath });
  assert.equal(unsealed, ['vault-0']);
  assert.equal(await sealed(servers), [false, false, false]);
});

test('a server with auto-unseal needs no key and gets a recovery key', async ({ servers, keysPath }) => {
  const { client } = await initialiseVault({ replicas: replicasOf(servers), keysPath });
  const withRoot = client.withToken((await readKeys(keysPath))?.rootToken ?? '');
  await withRoot.write('sys/mounts/transit', { type: 'transit' });
  await withRoot.write('transit/keys/unseal', {});
  const token = (await readKeys(keysPath))?.rootToken;
  const seal = {
    transit: {
      address: client.address,
      token,
      key_name: 'unseal',
      mount_path: 'transit/',
      disable_renewal: 'true',
      tls_ca_cert: servers[0]?.authorityFile,
    },
  };
  const own = await realVault({ seal });
  try {
    await own.start();
    const input = { replicas: replicasOf([own]), keysPath: own.keysPath };
    const first = await initialiseVault(input);
    assert.equal([first.initialised, first.unsealed], [true, []]);
    const keys = await readKeys(own.keysPath);
    assert.equal([keys?.unsealKeys.length, keys?.recoveryKeys?.length], [0, 1]);
    assert.ok(keys && (await generateRootToken(first.client, keys)) !== '');
    await own.stop();
    await own.start();
    assert.is(await unsealVault(input), 'unchanged');
    assert.equal(await sealed([own]), [false]);
  } finally {
    await own.remove();
  }
});

test('three servers that lost their disks get back the data of a snapshot, and its keys', async ({
  places,
  servers,
  keysPath,
}) => {
  const signal = new AbortController().signal;
  const { client } = await initialiseVault({ replicas: replicasOf(servers), keysPath });
  const keys = await readKeys(keysPath);
  const file = join(servers[0]?.folder ?? '', 'raft.snap');
  await client.withToken(keys?.rootToken ?? '').write('sys/mounts/kv', { type: 'kv' });
  await client.withToken(keys?.rootToken ?? '').write('kv/word', { value: 'remembered' });
  await saveSnapshot({ client, token: keys?.rootToken ?? '', file, signal });
  assert.is((await stat(file)).mode & 0o777, 0o600);

  await Promise.all(servers.map((server) => server.stop()));
  const others = await serversAt(places);
  try {
    const replicas = replicasOf(others);
    const path = others[0]?.keysPath ?? '';
    const secret = () => undefined;
    const input = { replicas, keysPath: path, file, secret, signal };
    const refused = await failureOf(restoreSnapshot({ ...input, keys: undefined }));
    assert.match(refused.message, /Vault refused the snapshot/);
    const own = await readKeys(path);
    assert.is(own?.rootToken, undefined, 'the root token is revoked');

    assert.is(await restoreSnapshot({ ...input, keys }), true);
    assert.equal(await readKeys(path), keys);
    assert.ok(existsSync(`${path}.1`), 'the other keys are kept');
    await unsealVault({ replicas, keysPath: path });
    const open = async () => (await sealed(others)).every((state) => state === false) || undefined;
    assert.ok(await poll(open, 30_000), 'all are unsealed');
    const { client: active } = await initialiseVault({ replicas, keysPath: path });
    assert.equal(await active.withToken(keys?.rootToken ?? '').read('kv/word'), { value: 'remembered' });
    // The same keys: nothing is sealed.
    await active.withToken(keys?.rootToken ?? '').write('kv/word', { value: 'lost' });
    assert.is(await restoreSnapshot({ ...input, keys }), false);
  } finally {
    await Promise.all(others.map((server) => server.remove()));
  }
});

test.run();
