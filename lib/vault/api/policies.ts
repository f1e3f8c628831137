import { objectOf, type VaultClient } from './client.ts';
import type { Mount, Policy, TransitKey } from './desired-state.ts';
import { cannotChange, type VaultObject } from './vault-object.ts';

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

/** A key of a transit engine. Only created: an existing key keeps its versions. */
export function transitKey(client: VaultClient, mount: Mount, key: TransitKey): VaultObject {
  const path = `${mount.path}/keys/${key.name}`;
  return {
    kind: 'transit key',
    path,
    difference: async () => {
      const found = objectOf(await client.read(path));
      if (found === undefined) return 'missing';
      if (found.type !== key.type) throw cannotChange(`the transit key ${path}`, found.type, key.type);
      return undefined;
    },
    write: async () => {
      await client.write(path, { type: key.type });
    },
  };
}
