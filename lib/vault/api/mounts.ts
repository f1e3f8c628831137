import type { Tree } from '../../ground/tree.ts';
import { type JsonObject, objectOf, type VaultClient } from './client.ts';
import type { AuditDevice, AuthMount, Mount, TransitKey } from './desired-state.ts';
import { settingText } from './key-values.ts';
import { cannotChange, differingNames, type VaultObject } from './vault-object.ts';

const inTable = async (client: VaultClient, table: string, path: string): Promise<JsonObject | undefined> =>
  objectOf((await client.read(table))?.[`${path}/`]);

/** A secrets engine or Kubernetes auth method with type, version, description and longest lease. */
export function mountObject(client: VaultClient, mount: Mount | AuthMount): VaultObject {
  const { path, type, description, maxTtl } = mount;
  const isAuth = 'roles' in mount;
  const [kind, table] = isAuth ? ['auth method', 'sys/auth'] : ['secrets engine', 'sys/mounts'];
  const version = isAuth ? undefined : mount.version;
  return {
    kind,
    path: `${path}/`,
    find: () => inTable(client, table, path),
    compare: (found) => {
      if (found.type !== type) throw cannotChange(`the ${kind} ${path}/`, found.type, type);
      const is = objectOf(found.options)?.version ?? 1;
      if (version !== undefined && is !== String(version))
        throw cannotChange(`the ${kind} ${path}/`, `version ${is}`, `version ${version}`);
      return differingNames([
        ['description', found.description, description],
        ['maxTtl', maxTtl && objectOf(found.config)?.max_lease_ttl, maxTtl],
      ]);
    },
    write: (exists) => {
      // Vault expects the lease as text with a unit.
      const config = maxTtl === undefined ? {} : { max_lease_ttl: `${maxTtl}s` };
      if (exists) return client.write(`${table}/${path}/tune`, { description, ...config });
      const options = version === undefined ? {} : { options: { version: String(version) } };
      return client.write(`${table}/${path}`, { type, description, config, ...options });
    },
  };
}

/** A key of a transit engine; an existing one is never changed. */
export function transitKey(client: VaultClient, mount: Mount, { name, type }: TransitKey): VaultObject {
  const path = `${mount.path}/keys/${name}`;
  return {
    kind: 'transit key',
    path,
    find: () => client.read(path),
    compare: (found) => {
      if (found.type !== type) throw cannotChange(`the transit key ${path}`, found.type, type);
      return undefined;
    },
    write: () => client.write(path, { type }),
  };
}

/** A file audit device. Vault cannot change one: it is disabled and enabled again, with new hashes. */
export function auditObject(
  client: VaultClient,
  { path, description, file }: AuditDevice,
  settings: Tree,
): VaultObject {
  return {
    kind: 'audit device',
    path: `${path}/`,
    find: () => inTable(client, 'sys/audit', path),
    compare: (found) => {
      if (found.type !== 'file') throw cannotChange(`the audit device ${path}/`, found.type, 'file');
      return differingNames([
        ['description', found.description, description],
        ['file', objectOf(found.options)?.file_path, settingText(file.setting, settings)],
      ]);
    },
    write: async (exists) => {
      const options = { file_path: settingText(file.setting, settings) };
      if (exists) await client.request('DELETE', `sys/audit/${path}`);
      await client.write(`sys/audit/${path}`, { type: 'file', description, options });
    },
  };
}
