import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { unseal } from '../../../lib/vault/init-vault.ts';
import { withVaultReplicas } from '../../../lib/vault/replicas.ts';
import { makeAuthority, type TestCertificate } from '../../rig/certificate.ts';
import { type CloneContext, type ScriptedFolder, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

type State = { tools: ScriptedFolder; context: CloneContext; certificate: TestCertificate };

const test = suite<State>('vault-replicas');

test.before(async (state) => {
  state.tools = scriptedFolder('environments');
  state.context = await state.tools.context('minikube');
  state.certificate = await makeAuthority(state.context.environment);
});
test.before.each(({ tools }) => tools.forget());
test.after(({ tools }) => tools.remove());

/** The pods of the release, by name and phase; replaced at once, since kubectl may be reading. */
function setPods({ folder }: ScriptedFolder, pods: Record<string, string>, replicas: number): void {
  const items = Object.entries(pods).map(([name, phase]): object => ({
    kind: 'Pod',
    metadata: {
      ...(phase === 'deleted' && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      ...{
        name,
        ownerReferences: [{ kind: /^vault-\d+$/.test(name) ? 'StatefulSet' : 'ReplicaSet', name: 'vault' }],
      },
    },
    status: { phase: phase === 'deleted' ? 'Running' : phase },
  }));
  if (replicas > 0) items.push({ kind: 'StatefulSet', metadata: { name: 'vault' }, spec: { replicas } });
  writeFileSync(`${folder}/items.next`, JSON.stringify({ items }));
  renameSync(`${folder}/items.next`, `${folder}/items.json`);
}

/** A cluster with these pods; each is reached at its own port, or all at one address. */
function cluster(tools: ScriptedFolder, pods: Record<string, string>, address?: string, replicas = 1): void {
  setPods(tools, pods, Object.keys(pods).length === 0 ? 0 : replicas);
  const port = address === undefined ? '200$number' : new URL(address).port;
  tools.script(
    'kubectl',
    `case "$*" in
      *port-forward*)
        number=$(echo "$*" | sed 's/.*pod.vault-\\([0-9]*\\) .*/\\1/')
        echo "Forwarding from 127.0.0.1:${port} -> 8200"; exec sleep 1000 ;;
      *) cat '${tools.folder}/items.json' ;;
    esac`,
  );
}

test('every running pod is reached by ordinal, with TLS, and the others are logged', async ({
  tools,
  context,
}) => {
  const pods = { 'vault-10': 'Running', 'vault-2': 'deleted', 'vault-1': 'Pending', 'vault-0': 'Running' };
  cluster(tools, { ...pods, 'vault-agent-injector-5f': 'Running' }, undefined, 4);
  const [found, absent] = await withVaultReplicas(context, 0, {}, async (...found) => found);
  assert.equal(absent, ['vault-1', 'vault-2', 'vault-3']);
  assert.equal(
    found.map(({ name, client }) => `${name} ${client.address}`),
    ['vault-0 https://127.0.0.1:2000', 'vault-10 https://127.0.0.1:20010'],
  );
  assert.ok(context.logged.includes('skipped, since they do not run: vault-1, vault-2, vault-3'));
  const [list = '', ...forwards] = tools.calls();
  assert.match(
    list,
    /-n vault get statefulsets,pods --selector app\.kubernetes\.io\/instance=vault -o json$/,
  );
  assert.equal(
    forwards.map((call) => /port-forward (\S+) :8200/.exec(call)?.[1]),
    ['pod/vault-0', 'pod/vault-10'],
  );
});

test('a pod is not reached without the authority', async ({ tools, context, certificate }) => {
  rmSync(certificate.certificate);
  cluster(tools, { 'vault-10': 'Running' });
  const { what } = await failureOf(withVaultReplicas(context, 0, {}, async () => undefined));
  assert.is(what, 'cannot read the authority of the certificate of vault');
  writeFileSync(certificate.certificate, certificate.authority);
});

test('replicas whose pods do not run yet, or do not even exist, are waited for', async ({
  tools,
  context,
  certificate,
}) => {
  const body = { initialized: true, sealed: true };
  const { address, requests } = await scriptedVault(() => ({ body }), certificate);
  cluster(tools, { 'vault-0': 'Running' }, address, 2);
  const found = withVaultReplicas(context, 30_000, {}, async (replicas) => replicas);
  while (tools.calls().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  setPods(tools, { 'vault-0': 'Running', 'vault-1': 'Running' }, 2);
  assert.is((await found)[1]?.name, 'vault-1');
  assert.ok(requests().includes('GET sys/seal-status'));
});

test('without a running pod, the error names the others', async ({ tools, context }) => {
  cluster(tools, { 'vault-0': 'Pending' });
  const none = await failureOf(withVaultReplicas(context, 0, {}, async () => undefined));
  assert.is(none.what, 'no pod of Vault is running');
  assert.is(none.why, 'vault-0 cannot be reached');
});

/** Unseals a Vault in this state. */
async function unsealed(state: State, body: { initialized: boolean; sealed: boolean }) {
  const { tools, context, certificate } = state;
  cluster(tools, { 'vault-0': 'Running' }, (await scriptedVault(() => ({ body }), certificate)).address);
  return unseal(context);
}

test('a sealed Vault without keys is a failure that says what can be done', async (state) => {
  const error = await failureOf(unsealed(state, { initialized: true, sealed: true }));
  assert.match(error.what, /^Vault at .* is initialised, but its keys are not in .*keys\.json$/);
  assert.match(error.advice ?? '', /restore the file from a copy/);
});

test('a new, unsealed or missing Vault is left alone; keys of a missing one cause no wait', async (state) => {
  for (const vault of [
    { initialized: false, sealed: true },
    { initialized: true, sealed: false },
  ])
    assert.is(await unsealed(state, vault), 'unchanged');
  cluster(state.tools, {});
  assert.is(await unseal(state.context), 'unchanged');
  const folder = join(state.context.environment.state, 'vault');
  mkdirSync(folder);
  await replaceKeys(join(folder, 'keys.json'), { unsealKeys: ['a'], rootToken: 'b' });
  assert.is(await unseal(state.context), 'unchanged');
});

test('a Vault beside the cluster that has ended is an error within seconds', async ({ tools }) => {
  const context = await tools.context('embedded');
  const folder = join(context.environment.state, 'certificates');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ca.crt'), '');
  const before = Date.now();
  const { what, why } = await failureOf(unseal(context));
  assert.match(what, /^Vault at https:\/\/127\.0\.0\.1:\d+ cannot be reached$/);
  assert.match(why ?? '', 'ECONNREFUSED');
  assert.ok(Date.now() - before < 30_000);
});

test.run();
