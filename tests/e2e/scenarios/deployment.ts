import { existsSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { makeSandbox, openVault, readText } from '../../integration/sandbox.ts';
import { isOurs, ourNamespaces } from '../../network/connections.ts';
import { areReady, podsOf } from '../pods.ts';
import { environment, type Stack, until } from '../stack.ts';

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
  for (const namespace of ourNamespaces) await areReady(stack, namespace);
}

export function assertLogins(said: string): void {
  for (const app of ['app1', 'app2'])
    assert.match(said, new RegExp(`${app}-back-verification-\\w+: .*ok database login`), said);
}

export async function logsIn(stack: Stack): Promise<void> {
  assertLogins((await stack.succeeds('test')).stderr);
}

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

const clusterWide = [
  'apiservices.apiregistration.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'namespaces',
  'priorityclasses.scheduling.k8s.io',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
];

/** Names of all cluster-scoped objects, and of helm's objects in kube-system. */
export async function clusterWideObjects(kubectl: Stack['kubectl']): Promise<string[]> {
  const names = await kubectl(['get', clusterWide.join(','), '-o', 'name']);
  const managed = ['-l', 'app.kubernetes.io/managed-by=Helm', '-o', 'name'];
  const system = await kubectl(['get', 'roles,rolebindings,services', '-n', 'kube-system', ...managed]);
  return [...names.split('\n'), ...system.split('\n')].filter((name) => name !== '').sort();
}

export async function nothingIsLeftBehind(stack: Stack, before: readonly string[]): Promise<void> {
  await stack.succeeds('destroy-environment', '--yes');
  assert.not.ok(existsSync(stack.path('.state', environment)), 'the state folder is gone');
  const after = await clusterWideObjects(stack.user);
  const more = after.filter((name) => !before.includes(name));
  assert.equal([...more, ...(await claimedVolumes(stack))], []);
}

/** Names of our namespaces with volumes, which are deleted shortly after their claims. */
export async function claimedVolumes(stack: Stack): Promise<string[]> {
  const claimed = 'jsonpath={range .items[*]}{.spec.claimRef.namespace}{"\\n"}{end}';
  const volumes = await stack.user(['get', 'persistentvolumes', '-o', claimed]);
  return volumes.split('\n').filter((namespace) => isOurs({ namespace }));
}
