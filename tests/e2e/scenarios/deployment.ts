import * as assert from 'uvu/assert';
import { ourNamespaces } from '../../network/connections.ts';
import { isReady, podsOf } from '../pods.ts';
import { environment, openVault, readText, type Stack, until } from '../stack.ts';

/** `create-environment` and `install-tier apps`, the latter a second time without changes. */
export async function deploy(stack: Stack): Promise<void> {
  await stack.succeeds('create-environment');
  await stack.succeeds('install-tier', 'apps');
  const again = await stack.succeeds('install-tier', 'apps');
  assert.not.match(again.stderr, 'installing:');
}

export async function statusIsGreen(stack: Stack): Promise<void> {
  const status = await stack.status();
  const { provider, cluster, vault, database } = status;
  assert.equal([status.environment, provider, cluster.state], [environment, 'existing', 'running']);
  assert.equal([vault, database], [openVault, { reachable: true }]);
  const releases = status.releases.map(({ status: word }) => word);
  assert.equal(releases, Array(10).fill('deployed'));
}

/** The namespaces admit only pods that comply with the level `restricted`. */
export async function podsAreReady(stack: Stack): Promise<void> {
  for (const namespace of ourNamespaces)
    await until(`pods of ${namespace}`, 120, async () => {
      const all = await stack.list('pods', '-n', namespace);
      const running = all.filter(({ status }) => status.phase !== 'Succeeded');
      return running.length > 0 && running.every(isReady);
    });
}

export function assertLogins(said: string): void {
  for (const app of ['app1', 'app2'])
    assert.match(said, new RegExp(`${app}-back-verification-\\w+: .*ok database login`), said);
}

/** Both sources of secrets lead to a login; the checks run as pods. */
export async function logsIn(stack: Stack): Promise<void> {
  assertLogins((await stack.succeeds('test')).stderr);
}

/** A new login from Vault reaches app1's Secret, the operator restarts its pods, and they log in with it. */
export async function aNewLoginOfVaultReachesApp1(stack: Stack): Promise<void> {
  const login = () => stack.secret('app1-back-database', 'DB_USER');
  const servers = 'app.kubernetes.io/instance=app1-back,app.kubernetes.io/component=server';
  const uids = async () => (await podsOf(stack, 'backend', servers)).map(({ metadata }) => metadata.uid);
  const before = { login: await login(), pods: await uids() };
  // The operator requests a new login when its object changes, as at the end of a lease.
  const object = ['vaultdynamicsecret', '-n', 'backend', 'app1-back-database'];
  const patch = (renewalPercent: number) =>
    stack.kubectl(['patch', ...object, '--type=merge', '-p', JSON.stringify({ spec: { renewalPercent } })]);
  const { spec } = await stack.get(...object);
  await patch(spec.renewalPercent - 1);
  await until('another login in the Secret', 60, async () => (await login()) !== before.login);
  await until('new pods', 150, async () => {
    const now = await uids();
    return now.length >= before.pods.length && now.every((uid) => !before.pods.includes(uid));
  });
  await patch(spec.renewalPercent);
  await stack.kubectl(['rollout', 'status', 'deployment/app1-back', '-n', 'backend', '--timeout=120s']);
  await stack.succeeds('test-app', 'app1');
}

/** No file written by the tasks contains a password. */
export async function nothingIsLeaked(stack: Stack): Promise<void> {
  const password = await stack.secret('app2-back-database', 'DB_PASSWORD');
  const encoded = Buffer.from(password).toString('base64');
  assert.ok(password.length >= 8);
  for (const file of await stack.diagnostics())
    assert.not.ok((await readText(file)).includes(password), file);
  const events = await stack.kubectl(['get', 'events', '-A', '-o', 'json']);
  assert.not.ok(events.includes(password), 'events');
  for (const release of ['app1-back', 'app2-back']) {
    const values = await stack.helm('get', 'all', release, '-n', 'backend');
    assert.not.ok(values.includes(password) || values.includes(encoded), release);
  }
}
