import { mkdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { withVaultReplicas } from '../../../lib/vault/replicas.ts';
import { type CloneContext, type ScriptedFolder, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

type State = { tools: ScriptedFolder; context: CloneContext };

const test = suite<State>('vault-replicas');

test.before(async (state) => {
  state.tools = scriptedFolder('environments');
  state.context = await state.tools.context('existing');
  mkdirSync(state.context.environment.state, { recursive: true });
});
test.before.each(({ tools }) => tools.forget());
test.after(({ tools }) => tools.remove());

/** A cluster with these pods of Vault, by name and phase; each is reached at its own port, or all at `port`. */
function cluster({ script }: ScriptedFolder, pods: Record<string, string>, port?: string): void {
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
  script(
    'kubectl',
    `case "$*" in
      *statefulsets,pods*) echo '${JSON.stringify({ items })}' ;;
      *port-forward*)
        number=$(echo "$*" | sed 's/.*pod.vault-\\([0-9]*\\) .*/\\1/')
        echo "Forwarding from 127.0.0.1:${port ?? '4000$number'} -> 8200"; exec sleep 1000 ;;
    esac`,
  );
}

test('every running pod is reached by ordinal, and the others are logged', async ({ tools, context }) => {
  cluster(tools, { 'vault-2': 'Running', 'vault-0': 'Running', 'vault-1': 'Pending' });
  const found = await withVaultReplicas(context, 0, {}, async (replicas) => replicas);
  assert.equal(
    found.map(({ name, client }) => `${name} ${client.address}`),
    ['vault-0 http://127.0.0.1:40000', 'vault-2 http://127.0.0.1:40002'],
  );
  assert.ok(context.logged.includes('skipped, since they do not run: vault-1'));
  const [list = '', ...forwards] = tools.calls();
  assert.match(
    list,
    /-n vault get statefulsets,pods --selector app\.kubernetes\.io\/instance=vault -o json$/,
  );
  assert.equal(
    forwards.map((call) => /port-forward (\S+) :8200/.exec(call)?.[1]),
    ['pod/vault-0', 'pod/vault-2'],
  );
});

test('pods that do not run yet are waited for', async ({ tools, context }) => {
  cluster(tools, { 'vault-0': 'Pending' });
  const found = withVaultReplicas(context, 30_000, {}, async (replicas) => replicas);
  while (tools.calls().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  const vault = await scriptedVault(({ path }) =>
    path === 'sys/seal-status' ? { body: { initialized: true, sealed: true } } : undefined,
  );
  cluster(tools, { 'vault-0': 'Running' }, new URL(vault.address).port);
  assert.equal(
    (await found).map(({ name }) => name),
    ['vault-0'],
  );
  assert.ok(vault.requests().includes('GET sys/seal-status'));
  await vault.close();
});

test('without a running pod, the error names the others', async ({ tools, context }) => {
  cluster(tools, { 'vault-0': 'Pending' });
  const none = await failureOf(withVaultReplicas(context, 0, {}, async () => undefined));
  assert.is(none.what, 'no pod of Vault is running');
  assert.is(none.why, 'vault-0 cannot be reached');
});

test.run();
