import { join } from 'node:path';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { isShared, readShared, vaultKeysFile, writeShared } from '../secrets/shared-file.ts';
import type { SecretContext } from '../secrets/shell.ts';
import type { Environment } from '../settings/context.ts';
import type { KeysPlace } from './api/keys-file.ts';

/** A file on this machine: the keys of a Vault that nobody else uses. */
export const localKeys = ({ state }: Pick<Environment, 'state'>): string => join(state, 'vault', 'keys.json');

/** Path of the keys' file relative to the project, for messages and plain commands. */
export const keysFileName = (environment: Environment): string =>
  isShared(environment)
    ? secretsFile(environment.name, vaultKeysFile)
    : `.state/${environment.name}/vault/keys.json`;

/** Where an environment's Vault keys are: on a shared cluster, in an encrypted file that the team commits. */
export function keysPlace(context: SecretContext): KeysPlace {
  const { environment, secret } = context;
  const path = localKeys(environment);
  if (!isShared(environment)) return { name: path, path, secret };
  return {
    ...{ name: keysFileName(environment), path, secret },
    encrypted: {
      read: async () => {
        const values = await readShared(context, vaultKeysFile);
        return values && JSON.stringify(values);
      },
      write: (keys) => writeShared(context, vaultKeysFile, keys),
    },
  };
}
