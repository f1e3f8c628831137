import { existsSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { isOurs } from '../../network/connections.ts';
import { environment, type Stack } from '../stack.ts';

/** Cluster-scoped kinds that our releases create. */
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

/** `destroy-environment` restores the initial state of the cluster. */
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
