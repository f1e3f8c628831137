import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { EnvironmentContext, InEnvironment, ShellContext } from '../settings/context.ts';
import { type Environment, exportHomes } from '../settings/environment.ts';
import { replaceFiles } from '../settings/replace-files.ts';
import { encrypt, encryption } from './encrypt.ts';
import { readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { importPublicKeys } from './keyring.ts';
import { sharedFiles } from './shared-file.ts';
import { sopsShell } from './shell.ts';

/** A new password: 32 hexadecimal digits, which never need quotes. */
export const newPassword = (): string => randomBytes(16).toString('hex');

/** The environment whose files define which secrets exist; SOPS leaves names of values readable. */
const model = 'development';

/** A secrets file to create: its path relative to the project, and its keys. */
export type NewSecrets = { readonly file: string; readonly keys: readonly string[] };

/** The secrets files that an environment lacks. */
export async function missingSecrets({
  name,
  root,
}: Pick<Environment, 'name' | 'root'>): Promise<NewSecrets[]> {
  const existing = await secretNames({ name, root });
  const missing = (await secretNames({ name: model, root })).filter(
    (file) => !existing.includes(file) && !sharedFiles.includes(file),
  );
  return Promise.all(
    missing.map(async (file) => {
      const { values } = await readEncrypted(root, secretsFile(model, file));
      return { file: secretsFile(name, file), keys: values.map((path) => path.join('.')) };
    }),
  );
}

/** The plain commands of `encryptRandom`, which also write the files; none without files. */
export const encryptCommands = (
  { environment }: InEnvironment,
  files: readonly NewSecrets[],
): readonly string[] => [
  ...(files.length === 0 ? [] : [exportHomes(environment, 'GNUPGHOME')]),
  ...files.flatMap(({ file, keys }) => [
    `mkdir -p ${dirname(file)}`,
    `for key in ${keys.join(' ')}; do echo "$key: '$(openssl rand -hex 16)'"; done | sops ${encryption(file).join(' ')} --output ${file} /dev/stdin`,
  ]),
];

/**
 * The texts of new secrets files with random values, encrypted by their rules of .sops.yaml, by path. Throws
 * `TaskError` if a key of a rule cannot be used.
 */
export async function encryptRandom(
  context: ShellContext & Pick<EnvironmentContext, 'secret'>,
  files: readonly NewSecrets[],
): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  if (files.length === 0) return texts;
  const { root } = context.environment;
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  for (const { file, keys } of files) {
    const values = keys.map((key) => [key, newPassword()] as const);
    for (const [, value] of values) context.secret(value);
    const input = values.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('');
    texts.set(file, await encrypt($, root, file, input, keys));
  }
  return texts;
}

/** The plain commands of `makeSecrets`, for `--dry-run`. */
export async function makeCommands(input: InEnvironment): Promise<readonly string[]> {
  const missing = await missingSecrets(input.environment);
  if (missing.length > 0) return encryptCommands(input, missing);
  return [`# environments/${input.environment.name}/secrets has every file`];
}

/** Creates missing secrets files. Leaves existing files alone. Throws as `encryptRandom` does. */
export async function makeSecrets(
  context: ShellContext & Pick<EnvironmentContext, 'log' | 'report' | 'secret'>,
): Promise<void> {
  const { root } = context.environment;
  const missing = await missingSecrets(context.environment);
  if (missing.length === 0) return context.report('unchanged');
  const texts = await encryptRandom(context, missing);
  // Whole files: the next run would take a partial one for a complete one.
  await replaceFiles([...texts].map(([file, text]) => ({ path: join(root, file), text })));
  for (const { file, keys } of missing) context.log(`${file}: ${keys.join(', ')}`);
  context.report('changed');
}
