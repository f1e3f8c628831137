import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';
import { scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* A start with a Vault whose keys are lost, or without a Vault. */

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/vault/access.ts');
  environment: Environment;
  context: RecordedContext;
};

const test = suite<State>('unseal');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('vault/access.ts');
  state.environment = await state.clone.environment('existing');
  state.context = await state.clone.context('existing');
  mkdirSync(state.environment.state, { recursive: true });
});
test.after(({ clone }) => clone.remove());

/** A cluster whose Vault is in this state; undefined: it has none. */
async function unseal(
  { clone, lib, environment, context }: State,
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
  writeFileSync(`${clone.folder}/items.json`, JSON.stringify({ items }));
  clone.script(
    'kubectl',
    `case "$*" in
      *port-forward*) echo "Forwarding from 127.0.0.1:${new URL(vault.address).port} -> 8200"; exec sleep 1000 ;;
      *) cat '${clone.folder}/items.json' ;;
    esac`,
  );
  try {
    return await lib.unseal({ ...context, environment });
  } finally {
    await vault.close();
  }
}

test('a sealed Vault stays sealed, and the failure says what to do', async (state) => {
  const error = await failureOf(unseal(state, { initialized: true, sealed: true }));
  assert.match(error.what, /^Vault at .* is initialised, but its keys are not in .*keys\.json$/);
  assert.match(error.advice ?? '', /restore the file from a copy/);
});

test('a new, unsealed or missing Vault is not touched', async (state) => {
  for (const vault of [{ initialized: false, sealed: true }, { initialized: true, sealed: false }, undefined])
    assert.is(await unseal(state, vault), 'unchanged');
});

test('keys without a Vault in the cluster cause no wait', async (state) => {
  const keys =
    await state.clone.lib<typeof import('../../../lib/vault/api/keys-file.ts')>('vault/api/keys-file.ts');
  mkdirSync(join(state.environment.state, 'vault'));
  await keys.replaceKeys(join(state.environment.state, 'vault', 'keys.json'), {
    unsealKeys: ['a'],
    rootToken: 'b',
  });
  assert.is(await unseal(state, undefined), 'unchanged');
});

test.run();
