import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { vaultClient } from '../../../lib/vault/api/client.ts';
import { initialiseVault, unsealVault } from '../../../lib/vault/api/init.ts';
import { readKeys } from '../../../lib/vault/api/keys-file.ts';
import { type VaultWorkload, vaultPods } from '../../../lib/vault/replicas.ts';
import { type Answer, type Call, failureOf, type ScriptedVault, scriptedVault } from './scripted-vault.ts';

const test = suite<{ folder: string; keysPath: string }>('vault/replicas');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-replicas-'));
  context.keysPath = join(context.folder, 'vault', 'keys.json');
});
test.after.each(async ({ folder }) => {
  await rm(folder, { recursive: true });
});

type Node = { initialized: boolean; sealed: boolean; joinsAfter?: number };

/** Servers that share one Vault: a new one joins once the first is open, and the first open one is active. */
async function cluster(nodes: Node[], body: (servers: ScriptedVault[]) => Promise<void>): Promise<void> {
  const answer = (node: Node) => (call: Call) => respond(node, nodes, call);
  const servers = await Promise.all(nodes.map((node) => scriptedVault(answer(node))));
  try {
    await body(servers);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

function respond(node: Node, nodes: Node[], { method, path }: Call): Answer | undefined {
  switch (`${method} ${path}`) {
    case 'GET sys/seal-status':
      // It has to ask a few times until it has found the others.
      if (!node.initialized && nodes.some(({ sealed }) => !sealed)) {
        node.joinsAfter = (node.joinsAfter ?? 2) - 1;
        node.initialized = node.joinsAfter === 0;
      }
      return { body: { ...node, storage_type: 'raft', progress: 0 } };
    case 'PUT sys/init':
      node.initialized = true;
      return { body: { keys_base64: ['a2V5'], root_token: 'hvs.root' } };
    case 'PUT sys/unseal':
      if (!node.initialized) return { status: 400, body: { errors: ['Vault is not initialized'] } };
      node.sealed = false;
      // What has just joined answers before it has fetched its data.
      return { body: { sealed: node.joinsAfter === 0, storage_type: 'raft', progress: 0 } };
    case 'GET sys/health':
      if (node.sealed) return { status: 503, body: {} };
      return { status: nodes.find(({ sealed }) => !sealed) === node ? 200 : 429, body: {} };
    default:
      return undefined;
  }
}

const replicasOf = (servers: ScriptedVault[]) =>
  servers.map(({ address }, index) => ({ name: `vault-${index}`, client: vaultClient({ address }) }));

const fresh = (): Node => ({ initialized: false, sealed: true });

async function keep(keysPath: string): Promise<void> {
  await mkdir(dirname(keysPath), { recursive: true });
  await writeFile(keysPath, JSON.stringify({ unseal_keys_b64: ['a2V5'], admin_token: 'hvs.admin' }));
}

test('a new Vault is initialised on its first replica only, and the others join it', ({ keysPath }) =>
  cluster([fresh(), fresh(), fresh()], async (servers) => {
    const replicas = replicasOf(servers);
    const { client, initialised, unsealed } = await initialiseVault({ replicas, keysPath });
    assert.equal([initialised, unsealed], [true, ['vault-0', 'vault-1', 'vault-2']]);
    assert.is(client, replicas[0]?.client);
    assert.equal(
      servers.map(({ requests }) => requests().filter((line) => line === 'PUT sys/init').length),
      [1, 0, 0],
    );
    assert.equal((await readKeys(keysPath))?.unsealKeys, ['a2V5']);
  }));

test('a replica that came back is unsealed, the others are not touched', ({ keysPath }) =>
  cluster(
    [
      { initialized: true, sealed: true },
      { initialized: true, sealed: false },
    ],
    async (servers) => {
      await keep(keysPath);
      assert.is(await unsealVault({ replicas: replicasOf(servers), keysPath }), 'changed');
      assert.equal(
        servers.map(({ requests }) => requests().includes('PUT sys/unseal')),
        [true, false],
      );
      assert.is(await unsealVault({ replicas: replicasOf(servers), keysPath }), 'unchanged');
    },
  ));

test('a first replica that lost its data joins the others instead of being initialised again', ({
  keysPath,
}) =>
  cluster([fresh(), { initialized: true, sealed: true }], async (servers) => {
    await keep(keysPath);
    const { initialised, unsealed } = await initialiseVault({ replicas: replicasOf(servers), keysPath });
    assert.equal([initialised, unsealed], [false, ['vault-1', 'vault-0']]);
  }));

test('the work is done by the active replica', ({ keysPath }) =>
  cluster(
    [
      { initialized: true, sealed: false },
      { initialized: true, sealed: false },
    ],
    async (servers) => {
      await keep(keysPath);
      const replicas = replicasOf(servers).reverse();
      const { client } = await initialiseVault({ replicas, keysPath });
      assert.is(client.address, servers[0]?.address);
    },
  ));

test('keys that are kept elsewhere are an error with advice', ({ keysPath }) =>
  cluster([{ initialized: true, sealed: true }], async (servers) => {
    await mkdir(dirname(keysPath), { recursive: true });
    await writeFile(keysPath, JSON.stringify({ unseal_keys_b64: [], admin_token: 'hvs.admin' }));
    const failure = await failureOf(unsealVault({ replicas: replicasOf(servers), keysPath }));
    assert.match(failure.what, 'holds no unseal key');
    assert.match(failure.advice, '`vault operator unseal`');
  }));

const pod = (
  name: string,
  values: Partial<VaultWorkload['metadata']> = {},
  phase = 'Running',
): VaultWorkload => ({
  kind: 'Pod',
  metadata: { name, ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }], ...values },
  status: { phase },
});
const set = (replicas: number): VaultWorkload => ({
  kind: 'StatefulSet',
  metadata: { name: 'vault' },
  spec: { replicas },
});

test('the servers of the release by ordinal', () => {
  const objects = [
    set(4),
    pod('vault-10'),
    pod('vault-2', { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    pod('vault-1', {}, 'Pending'),
    pod('vault-0'),
    pod('vault-server-test', { ownerReferences: [] }),
    pod('vault-agent-injector-5f', {
      ownerReferences: [{ kind: 'ReplicaSet', name: 'vault-agent-injector' }],
    }),
  ];
  assert.equal(vaultPods(objects), {
    ...{ running: ['vault-0', 'vault-10'], others: ['vault-1', 'vault-2'], complete: false },
  });
  assert.equal(vaultPods([]), { running: [], others: [], complete: false });
});

test('they are complete if all replicas run, even if no pod exists yet for some', () => {
  assert.is(vaultPods([set(2), pod('vault-0')]).complete, false);
  assert.is(vaultPods([set(2), pod('vault-0'), pod('vault-1')]).complete, true);
});

test.run();
