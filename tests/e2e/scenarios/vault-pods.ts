import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { openVault, startRun } from '../../integration/sandbox.ts';
import { create, isReady, mark, podsOf, startCalls } from '../pods.ts';
import { type Stack, until } from '../stack.ts';
import { tokenOfInitVault } from './restore.ts';

const vaultPods = (stack: Stack) => podsOf(stack, 'vault', 'app.kubernetes.io/instance=vault');

/** A setting that changes the pods, with this project's chart or another. */
const change = ({ settings }: Stack): object => {
  const values = { logLevel: 'debug' };
  return settings.charts.vault?.values === undefined
    ? { releases: { vault: { server: values } } }
    : { charts: { vault: { values } } };
};

/**
 * Each pod is replaced and unsealed; the run after a killed one goes on; requests to Vault wait for an election at
 * most.
 */
export async function aChangeReachesVaultsPods(stack: Stack): Promise<void> {
  const before = await vaultPods(stack);
  const caller = await callVault(stack);
  await stack.withSettings(change(stack), async () => {
    const run = startRun(stack, ['install-app', 'vault']);
    await run.shows(/replacing pod vault\/vault-\d/);
    run.end();
    await run.exit.catch(() => undefined);
    if (before.length > 1) {
      const { stdout } = await stack.succeeds('status');
      assert.match(stdout, /statefulset vault\/vault has \d of \d pods of an older revision: an install/);
    }
    await stack.succeeds('install-app', 'vault');
  });
  const after = await vaultPods(stack);
  assert.ok(after.every(isReady), 'unsealed');
  const revisions = after.map(({ metadata }) => metadata.labels?.['controller-revision-hash']);
  assert.is(new Set(revisions).size, 1);
  const kept = after.filter((pod) => before.some(({ metadata }) => metadata.uid === pod.metadata.uid));
  assert.equal(kept, []);

  // The setting is gone.
  const { stderr } = await stack.succeeds('install-app', 'vault');
  const replaced = [...stderr.matchAll(/replacing pod vault\/(vault-\d)/g)].map(([, name]) => name);
  assert.equal([...replaced].sort(), before.map(({ metadata }) => metadata.name).sort());
  if (before.length > 1)
    assert.match(stderr, new RegExp(`${replaced.at(-1)} stepped down, vault-\\d is active`));
  assert.equal((await stack.status()).vault, openVault);
  await caller.end(before.length > 1);
}

/** Milliseconds for a replica to notice that the active one is gone, and to take over. */
const electionMs = 60_000;

/** Reads a secret from Vault until it is ended, from a pod that its policy accepts as the operator. */
async function callVault(stack: Stack) {
  const name = 'vault-caller';
  const metadata = { name, namespace: 'vault', labels: mark };
  const TOKEN = await tokenOfInitVault(stack);
  const host = new URL(stack.settings.vault.address).hostname;
  const { spec } = await stack.get('service', '-n', 'vault', host.split('.')[0] ?? '');
  await create(stack, [{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { TOKEN } }]);
  const caller = await startCalls(stack, {
    ...{ name, namespace: 'vault', secret: name },
    labels: { 'app.kubernetes.io/instance': 'vault-operator' },
    env: {
      // By its address: name servers move with their nodes, too.
      URLS: `https://${spec.clusterIP}:8200/v1/kv/data/app1/database`,
      SERVER: host,
      ...{ WIDTH: '1', PAUSE_MS: '200' },
      AUTHORITY: await stack.authority(),
    },
  });
  return {
    /** Ends it. With several replicas, no request had to wait longer than for an election. */
    end: async (isShort: boolean) => {
      const { ok, failed, failures, gapMs } = await caller.end();
      await stack.kubectl(['delete', 'secret', '-n', 'vault', name]);
      process.stdout.write(`\n  requests to Vault: ${ok} ok, ${failed} failed, longest gap ${gapMs} ms\n`);
      if (isShort) assert.ok(gapMs < electionMs, failures.join('\n'));
    },
  };
}

/**
 * A sealed replica is not ready, so that the disruption budget keeps the others until it is unsealed, here by
 * init-vault. All nodes are drained, one after the other.
 */
export async function drainsNeverSealVault(stack: Stack): Promise<void> {
  const pods = await vaultPods(stack);
  if (pods.length < 3) return void process.stdout.write('\n  skipped: Vault has less than three replicas\n');
  const caller = await callVault(stack);
  let [ended, fewest] = [false, pods.length];
  const watched = (async () => {
    for (; !ended; await pause(300))
      fewest = Math.min(fewest, (await vaultPods(stack)).filter(isReady).length);
  })();
  try {
    await evictionsWaitForUnsealing(stack);
    for (const { metadata } of await stack.list('nodes')) await drained(stack, metadata.name);
  } finally {
    ended = true;
    await watched;
  }
  await caller.end(true);
  assert.ok(fewest > 0, 'never all sealed');
}

async function evictionsWaitForUnsealing(stack: Stack): Promise<void> {
  const evict = (name: string) => {
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'vault' } };
    const path = `/api/v1/namespaces/vault/pods/${name}/eviction`;
    return stack.tryKubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction));
  };
  const first = await evict('vault-2');
  assert.is(first.exitCode, 0, first.stderr);
  await until('a sealed replica', 180, async () =>
    (await vaultPods(stack)).some(
      (pod) => pod.metadata.name === 'vault-2' && pod.status.phase === 'Running' && !isReady(pod),
    ),
  );
  const second = await evict('vault-1');
  assert.match(second.stderr, /violate the pod's disruption budget/);
  await allUnsealed(stack);
}

async function allUnsealed(stack: Stack): Promise<void> {
  await until('all replicas unsealed', 300, async () => {
    const pods = await vaultPods(stack);
    if (pods.length >= 3 && pods.every(isReady)) return true;
    if (pods.some((pod) => pod.status.phase === 'Running' && !isReady(pod))) await stack.task('init-vault');
    return false;
  });
}

/** Drains a node, while whoever operates Vault unseals what has moved. */
async function drained(stack: Stack, node: string): Promise<void> {
  let open = true;
  const end = stack.drain(node, 400).finally(() => {
    open = false;
  });
  try {
    for (; open; await pause(1000)) await allUnsealed(stack);
    await end;
  } finally {
    await end.catch(() => undefined);
    await stack.kubectl(['uncordon', node]);
  }
  await allUnsealed(stack);
}
