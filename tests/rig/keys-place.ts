import type { KeysPlace } from '../../lib/vault/api/keys-file.ts';

/** A file for Vault's keys on this machine. */
export const keysAt = (path: string, secret: KeysPlace['secret'] = () => undefined): KeysPlace => ({
  ...{ name: path, path, secret },
});
