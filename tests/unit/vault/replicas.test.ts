import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type VaultWorkload, vaultPods } from '../../../lib/vault/replicas.ts';

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
