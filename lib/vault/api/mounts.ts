import { type JsonObject, objectOf, type VaultClient } from './client.ts';
import type { AuditDevice, AuthMount, Mount, TransitKey } from './desired-state.ts';
import { settingText, type ValueSources } from './key-values.ts';
import { cannotChange, differingNames, type VaultObject } from './vault-object.ts';

/** A secrets engine: its type, version, description and longest lease. */
export function secretsEngine(client: VaultClient, mount: Mount): VaultObject {
  const version = mount.version === undefined ? undefined : String(mount.version);
  return mounted(client, {
    kind: 'secrets engine',
    table: 'sys/mounts',
    path: mount.path,
    type: mount.type,
    description: mount.description,
    maxTtl: mount.maxTtl,
    options: version === undefined ? undefined : { version },
  });
}

/** A Kubernetes auth method: its description and longest lease. */
export function authMethod(client: VaultClient, mount: AuthMount): VaultObject {
  return mounted(client, {
    kind: 'auth method',
    table: 'sys/auth',
    path: mount.path,
    type: 'kubernetes',
    description: mount.description,
    maxTtl: mount.maxTtl,
    options: undefined,
  });
}

type Mounted = {
  readonly kind: 'secrets engine' | 'auth method';
  readonly table: 'sys/mounts' | 'sys/auth';
  readonly path: string;
  readonly type: string;
  readonly description: string;
  readonly maxTtl: number | undefined;
  readonly options: { readonly version: string } | undefined;
};

function mounted(client: VaultClient, desired: Mounted): VaultObject {
  const { kind, table, path, type, description, maxTtl, options } = desired;
  let enabled = false;

  async function current(): Promise<JsonObject | undefined> {
    return objectOf((await client.read(table))?.[`${path}/`]);
  }

  return {
    kind,
    path: `${path}/`,
    difference: async () => {
      const found = await current();
      enabled = found !== undefined;
      if (found === undefined) return 'missing';
      if (found.type !== type) throw cannotChange(`the ${kind} ${path}/`, found.type, type);
      const version = objectOf(found.options)?.version;
      if (options !== undefined && version !== options.version) {
        throw cannotChange(`the ${kind} ${path}/`, `version ${version ?? 1}`, `version ${options.version}`);
      }
      return differingNames([
        ['description', found.description, description],
        ...(maxTtl === undefined ? [] : [['maxTtl', objectOf(found.config)?.max_lease_ttl, maxTtl] as const]),
      ]);
    },
    write: async () => {
      // Vault expects the lease as a text with a unit.
      const config = maxTtl === undefined ? {} : { max_lease_ttl: `${maxTtl}s` };
      if (enabled) await client.write(`${table}/${path}/tune`, { description, ...config });
      else await client.write(`${table}/${path}`, { type, description, config, ...(options && { options }) });
    },
  };
}

/** A key of a transit engine. It is only created: an existing key keeps its versions. */
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

/**
 * A file audit device. Vault cannot change it in place: it is disabled and enabled again, with new hashes.
 */
export function auditObject(
  client: VaultClient,
  device: AuditDevice,
  settings: ValueSources['settings'],
): VaultObject {
  const path = `sys/audit/${device.path}`;
  const desired = () => ({
    description: device.description,
    file: settingText(device.file.setting, settings),
  });
  let enabled = false;
  return {
    kind: 'audit device',
    path: `${device.path}/`,
    difference: async () => {
      const found = objectOf((await client.read('sys/audit'))?.[`${device.path}/`]);
      enabled = found !== undefined;
      if (found === undefined) return 'missing';
      if (found.type !== 'file') throw cannotChange(`the audit device ${device.path}/`, found.type, 'file');
      return differingNames([
        ['description', found.description, desired().description],
        ['file', objectOf(found.options)?.file_path, desired().file],
      ]);
    },
    write: async () => {
      const { description, file } = desired();
      if (enabled) await client.request('DELETE', path);
      await client.write(path, { type: 'file', description, options: { file_path: file } });
    },
  };
}
