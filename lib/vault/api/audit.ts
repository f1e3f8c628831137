import { objectOf, type VaultClient } from './client.ts';
import type { AuditDevice } from './desired-state.ts';
import { settingText, type ValueSources } from './key-values.ts';
import { cannotChange, differingNames, type VaultObject } from './vault-object.ts';

/** A file audit device. Vault cannot change one in place: it is disabled and enabled again, which begins new hashes. */
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
