import { applicationOfPolicy } from './applications.ts';
import type { VaultClient } from './client.ts';
import type { DesiredState, Policy } from './desired-state.ts';
import { differenceOf, differingNames, type VaultObject } from './vault-object.ts';

const pathOf = (policy: string): string => `sys/policies/acl/${policy}`;

export const policyObject = (client: VaultClient, { name, text }: Policy): VaultObject => ({
  kind: 'policy',
  path: name,
  find: () => client.read(pathOf(name)),
  compare: ({ policy }) => differingNames([['text', String(policy).trim(), text.trim()]]),
  write: () => client.write(pathOf(name), { policy: text }),
});

/**
 * Applications in Vault that are no longer in the desired state, one object each; they lose their logins, roles and
 * policy. The policy's first line identifies them, so objects of others stay. Their kv secrets stay too, since nobody
 * could restore them.
 */
export async function removedApplications(client: VaultClient, state: DesiredState): Promise<VaultObject[]> {
  const wanted = new Set([...state.policies, state.operator.policy].map(({ name }) => name));
  const { keys } = (await client.read('sys/policies/acl?list=true')) ?? {};
  const removed: VaultObject[] = [];
  for (const name of (Array.isArray(keys) ? keys : []).map(String)) {
    // An application's name has no other characters; the token may not read `team/reader`.
    if (wanted.has(name) || name === 'root' || !/^[\w-]+$/.test(name)) continue;
    const application = removedApplication(client, state, name);
    if ((await differenceOf(application)) !== undefined) removed.push(application);
  }
  return removed;
}

const removedApplication = (client: VaultClient, state: DesiredState, name: string): VaultObject => ({
  kind: 'application',
  path: name,
  find: async () => (await client.read(pathOf(name))) ?? {},
  compare: ({ policy = '' }) =>
    applicationOfPolicy(String(policy)) === undefined ? undefined : 'no longer declared: removed',
  write: async () => {
    const remove = (path: string) => client.request('DELETE', path, { accept: [404] });
    for (const { path } of state.auth) await remove(`auth/${path}/role/${name}`);
    for (const { path, type } of state.mounts) {
      if (type !== 'database') continue;
      // Before the role, whose statements revoke the logins.
      const logins = `sys/leases/revoke-prefix/${path}/creds/${name}`;
      await client.write(logins, { sync: true }, { timeoutMs: 60_000 });
      await remove(`${path}/roles/${name}`);
    }
    // Last: while it exists, the next run finds the rest.
    await remove(pathOf(name));
  },
});
