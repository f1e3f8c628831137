import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { unseal } from '../../../lib/vault/init-vault.ts';
import { type CloneContext, type ScriptedFolder, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A start with a Vault whose keys are lost, or without a Vault. */

type State = { tools: ScriptedFolder; context: CloneContext };

const test = suite<State>('unseal');

test.before(async (state) => {
  state.tools = scriptedFolder('environments');
  state.context = await state.tools.context('existing');
  mkdirSync(state.context.environment.state, { recursive: true });
});
test.after(({ tools }) => tools.remove());

/** A cluster whose Vault is in this state; undefined: it has none. */
async function unsealed(
  { tools, context }: State,
  state: { initialized: boolean; sealed: boolean } | undefined,
): Promise<'changed' | 'unchanged'> {
  const server = { kind: 'StatefulSet', metadata: { name: 'vault' }, spec: { replicas: 1 } };
  const pod = {
    kind: 'Pod',
    metadata: { name: 'vault-0', ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] },
    status: { phase: 'Running' },
  };
  const items = state === undefined ? [] : [server, pod];
  const vault = await scriptedVault(() => ({ body: state }));
  writeFileSync(`${tools.folder}/items.json`, JSON.stringify({ items }));
  tools.script(
    'kubectl',
    `case "$*" in
      *port-forward*) echo "Forwarding from 127.0.0.1:${new URL(vault.address).port} -> 8200"; exec sleep 1000 ;;
      *) cat '${tools.folder}/items.json' ;;
    esac`,
  );
  try {
    return await unseal(context);
  } finally {
    await vault.close();
  }
}

test('a sealed Vault without keys is a failure that says what can be done', async (state) => {
  const error = await failureOf(unsealed(state, { initialized: true, sealed: true }));
  assert.match(error.what, /^Vault at .* is initialised, but its keys are not in .*keys\.json$/);
  assert.match(error.advice ?? '', /restore the file from a copy/);
});

test('a new, open or missing Vault stays as it is', async (state) => {
  for (const vault of [{ initialized: false, sealed: true }, { initialized: true, sealed: false }, undefined])
    assert.is(await unsealed(state, vault), 'unchanged');
});

test('keys of a Vault that the cluster does not have cause no wait', async (state) => {
  const folder = join(state.context.environment.state, 'vault');
  mkdirSync(folder);
  await replaceKeys(join(folder, 'keys.json'), { unsealKeys: ['a'], rootToken: 'b' });
  assert.is(await unsealed(state, undefined), 'unchanged');
});

test.run();
