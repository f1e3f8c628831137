import * as assert from 'uvu/assert';
import { podsOf } from '../pods.ts';
import { type Stack, until } from '../stack.ts';
import { withVault } from '../vault.ts';

type Secret = { readonly data: Readonly<Record<string, string>> };

const host = async (stack: Stack): Promise<string> => {
  const { data } = await stack.get<Secret>('secret', '-n', 'backend', 'app1-back-database');
  return Buffer.from(data.DB_HOST ?? '', 'base64').toString();
};

const uids = async (stack: Stack): Promise<string[]> =>
  (await podsOf(stack, 'backend', 'app.kubernetes.io/instance=app1-back'))
    .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'server')
    .map(({ metadata }) => metadata.uid)
    .sort();

/** A value that changes in Vault reaches app1's Secret, and the operator restarts its pods; `init-vault` brings it back. */
export async function aChangeInVaultReachesApp1(stack: Stack): Promise<void> {
  const before = { host: await host(stack), pods: await uids(stack) };
  // Another name of the same Service: the pods can go on working with it.
  const other = before.host.replace(/\.svc\.cluster\.local$/, '.svc');
  assert.is.not(other, before.host);
  await withVault(stack, async (vault) => {
    const { data } = await vault('GET', 'kv/data/app1/database');
    await vault('POST', 'kv/data/app1/database', { data: { ...data.data, DB_HOST: other } });
  });
  await until('the new value in the Secret', 60, async () => (await host(stack)) === other);
  await until('new pods', 120, async () => {
    const now = await uids(stack);
    return now.length >= before.pods.length && now.every((uid) => !before.pods.includes(uid));
  });
  await stack.kubectl(['rollout', 'status', 'deployment/app1-back', '-n', 'backend', '--timeout=120s']);
  const back = await stack.task('init-vault');
  assert.is(back.exitCode, 0, back.stderr);
  await until('the old value in the Secret', 60, async () => (await host(stack)) === before.host);
  await stack.kubectl(['rollout', 'status', 'deployment/app1-back', '-n', 'backend', '--timeout=120s']);
}
