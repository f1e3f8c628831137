import { copyFile, rm } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { makeSandbox } from '../../integration/sandbox.ts';
import { podsOf } from '../pods.ts';
import { environment, openVault, type Stack } from '../stack.ts';

const shared = ['authority.yaml', 'vault-keys.yaml'] as const;
const place = (name: string): string => `environments/${environment}/secrets/${name}`;

/**
 * A clone with nothing but the SOPS key, the context and the committed files does every task, and changes nothing.
 * Without the committed files it is refused.
 */
export async function aSecondCloneChangesNothing(stack: Stack): Promise<void> {
  const state = async () => {
    const all = (namespace: string) => podsOf(stack, namespace, 'app.kubernetes.io/instance');
    const pods = await Promise.all(['database', 'vault', 'frontend'].map(all));
    // Jobs of the chart come and go.
    const running = pods.flat().filter(({ status }) => status.phase === 'Running');
    const { data } = await stack.get('secret', '-n', 'database', 'postgresql-tls');
    return { pods: running.map(({ metadata: { name, uid } }) => [name, uid]), data };
  };
  const before = await state();
  const second = await makeSandbox('kd-second-');
  Object.assign(second.env, stack.env, { HOME: second.home });
  try {
    await second.refuses(['install-tier', 'core'], 1, /an authority whose key is not here/);
    for (const name of shared) await copyFile(stack.path(place(name)), second.path(place(name)));
    await rm(second.path('.state'), { recursive: true });
    const status = await second.status();
    assert.is(status.cluster.state, 'running');
    assert.equal(status.vault, openVault);
    await second.succeeds('create-environment');
    const installed = await second.succeeds('install-tier', 'apps');
    assert.not.match(installed.stderr, 'installing:');
    await second.succeeds('test');
    assert.equal(await state(), before);
  } finally {
    await second.remove();
  }
}
