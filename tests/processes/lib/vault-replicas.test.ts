import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/vault/replicas.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('vault-replicas');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('vault/replicas.ts');
  state.environment = await state.clone.environment('existing');
  state.context = await state.clone.context('existing');
  mkdirSync(state.environment.state, { recursive: true });
});
test.before.each(({ clone }) => clone.forget());
test.after(({ clone }) => clone.remove());

/** A cluster with these pods of Vault, by name and phase; each is reached at its own port, or all at `port`. */
function cluster(clone: ScriptedClone, pods: Record<string, string>, port?: string): void {
  const set = {
    kind: 'StatefulSet',
    metadata: { name: 'vault' },
    spec: { replicas: Object.keys(pods).length },
  };
  const list = Object.entries(pods).map(([name, phase]) => ({
    kind: 'Pod',
    metadata: { name, ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] },
    status: { phase },
  }));
  const items = [set, ...list];
  clone.script(
    'kubectl',
    `case "$*" in
      *statefulsets,pods*) echo '${JSON.stringify({ items })}' ;;
      *port-forward*)
        number=$(echo "$*" | sed 's/.*pod.vault-\\([0-9]*\\) .*/\\1/')
        echo "Forwarding from 127.0.0.1:${port ?? '4000$number'} -> 8200"; exec sleep 1000 ;;
    esac`,
  );
}

test('every running pod is reached separately and in order, and others are named', async ({
  lib,
  clone,
  environment,
  context,
}) => {
  cluster(clone, { 'vault-2': 'Running', 'vault-0': 'Running', 'vault-1': 'Pending' });
  const found = await lib.withVaultReplicas(
    { ...context, environment },
    0,
    async (connections) => connections,
  );
  assert.equal(found, [
    { name: 'vault-0', host: '127.0.0.1', port: 40000 },
    { name: 'vault-2', host: '127.0.0.1', port: 40002 },
  ]);
  assert.ok(context.logged.includes('left out, since they do not run: vault-1'));
  const [list = '', ...forwards] = clone.calls();
  assert.match(
    list,
    /-n vault get statefulsets,pods --selector app\.kubernetes\.io\/instance=vault -o json$/,
  );
  assert.equal(
    forwards.map((call) => /port-forward (\S+) :8200/.exec(call)?.[1]),
    ['pod/vault-0', 'pod/vault-2'],
  );
});

test('pods that are about to run are waited for', async ({ lib, clone, environment, context }) => {
  cluster(clone, { 'vault-0': 'Pending' });
  const found = lib.withVaultReplicas(
    { ...context, environment },
    30_000,
    async (connections) => connections,
  );
  while (clone.calls().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  const vault = await scriptedVault(({ path }) =>
    path === 'sys/seal-status' ? { body: { initialized: true, sealed: true } } : undefined,
  );
  cluster(clone, { 'vault-0': 'Running' }, new URL(vault.address).port);
  assert.equal(
    (await found).map(({ name }) => name),
    ['vault-0'],
  );
  assert.ok(vault.requests().includes('GET sys/seal-status'));
  await vault.close();
});

test('without a running pod, the error lists the pods', async ({ lib, clone, environment, context }) => {
  cluster(clone, { 'vault-0': 'Pending' });
  const none = await failureOf(lib.withVaultReplicas({ ...context, environment }, 0, async () => undefined));
  assert.is(none.what, 'no pod of Vault runs');
  assert.is(none.why, 'vault-0 cannot be reached');
});

test.run();
