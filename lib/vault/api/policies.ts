import { applicationOfPolicy } from './applications.ts';
import type { VaultClient } from './client.ts';
import type { DesiredState, Policy } from './desired-state.ts';
import type { VaultObject } from './vault-object.ts';

/** An ACL policy with its text. */
export function policyObject(client: VaultClient, policy: Policy): VaultObject {
  const path = `sys/policies/acl/${policy.name}`;
  return {
    kind: 'policy',
    path: policy.name,
    difference: async () => {
      const found = await client.read(path);
      if (found === undefined) return 'missing';
      return String(found.policy).trim() === policy.text.trim() ? undefined : 'text';
    },
    write: async () => {
      await client.write(path, { policy: policy.text });
    },
  };
}

/**
 * Applications in Vault that were removed from the desired state, one object each: they lose their logins,
 * roles and policy. They are recognised by the first line of the policy; what others wrote stays. Their
 * secrets in the kv engine stay too, since nobody could restore them.
 */
export async function removedApplications(client: VaultClient, state: DesiredState): Promise<VaultObject[]> {
  const wanted = new Set([...state.policies, state.operator.policy].map(({ name }) => name));
  const names = textsOf((await client.read('sys/policies/acl?list=true'))?.keys);
  const removed: VaultObject[] = [];
  for (const name of names.filter((name) => !wanted.has(name) && name !== 'root')) {
    if (await isApplications(client, name)) removed.push(removedApplication(client, state, name));
  }
  return removed;
}

async function isApplications(client: VaultClient, policy: string): Promise<boolean> {
  const text = String((await client.read(`sys/policies/acl/${policy}`))?.policy ?? '');
  return applicationOfPolicy(text) !== undefined;
}

function removedApplication(client: VaultClient, state: DesiredState, name: string): VaultObject {
  const policy = `sys/policies/acl/${name}`;
  return {
    kind: 'application',
    path: name,
    difference: async () =>
      (await isApplications(client, name)) ? 'no longer declared: removed' : undefined,
    write: async () => {
      for (const { path } of state.auth) await remove(client, `auth/${path}/role/${name}`);
      for (const { path, type } of state.mounts) {
        if (type !== 'database') continue;
        // Before the role, which has the statements that revoke a login.
        await client.write(
          `sys/leases/revoke-prefix/${path}/creds/${name}`,
          { sync: true },
          { timeoutMs: 60_000 },
        );
        await remove(client, `${path}/roles/${name}`);
      }
      // Last: while it exists, another run finds the rest.
      await remove(client, policy);
    },
  };
}

async function remove(client: VaultClient, path: string): Promise<void> {
  await client.request('DELETE', path, { accept: [404] });
}

const textsOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
