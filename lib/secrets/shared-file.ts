import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { textIfThere } from '../ground/if-there.ts';
import { leavesOf } from '../ground/tree.ts';
import type { Environment } from '../settings/context.ts';
import { replaceFiles } from '../settings/replace-files.ts';
import { encrypt } from './encrypt.ts';
import { secretsFile } from './encrypted-file.ts';
import type { SecretContext } from './shell.ts';
import { decryptFile } from './sops.ts';

/*
 * What makes an environment on a shared cluster, and would otherwise be known to one machine only: encrypted files that
 * the tasks write and the team commits.
 */

export const authorityFile = 'authority.yaml';
export const vaultKeysFile = 'vault-keys.yaml';
export const sharedFiles: readonly string[] = [authorityFile, vaultKeysFile];

/** True if other machines use the environment's cluster too. */
export const isShared = (environment: Pick<Environment, 'provider'>) => !providerOf(environment).ownsCluster;

export const hasShared = ({ name, root }: Pick<Environment, 'name' | 'root'>, file: string): boolean =>
  existsSync(join(root, secretsFile(name, file)));

/**
 * The values of an environment's shared file, redacted from the run's output; undefined if it does not exist. Throws
 * `TaskError` if no key opens it, or if it was copied from another environment.
 */
export async function readShared(context: SecretContext, name: string) {
  const { environment } = context;
  const file = secretsFile(environment.name, name);
  if ((await textIfThere(join(environment.root, file))) === undefined) return undefined;
  const { environment: owner, ...values } = await decryptFile(context, file);
  for (const { value } of leavesOf(values)) if (typeof value === 'string') context.secret(value);
  if (owner === environment.name) return values;
  throw new TaskError({
    what: `${file} belongs to environment \`${String(owner)}\``,
    why: 'it was copied with the folder; each environment has its own authority and Vault',
    advice: `remove it: rm ${file}`,
  });
}

/** Writes an environment's shared file, encrypted by its rule of .sops.yaml. */
export async function writeShared(context: SecretContext, name: string, values: object): Promise<void> {
  const { environment } = context;
  const file = secretsFile(environment.name, name);
  const content = { environment: environment.name, ...values };
  for (const { value } of leavesOf(values)) if (typeof value === 'string') context.secret(value);
  const text = await encrypt(context, file, content);
  await replaceFiles([{ path: join(environment.root, file), text }]);
}
