import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { defaultEnvironment } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import { leavesOf, type Tree } from '../ground/tree.ts';
import type { Environment, EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { exportHomes } from '../settings/environment.ts';
import { replaceFiles } from '../settings/replace-files.ts';
import { environmentNames } from '../settings/settings.ts';
import { encrypt, encryption } from './encrypt.ts';
import { readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { sharedFiles } from './shared-file.ts';
import type { SecretContext } from './shell.ts';

/** A new password: 32 hexadecimal digits, which never need quotes. */
export const newPassword = (): string => randomBytes(16).toString('hex');

/** A secrets file to create: its path relative to the project, and its keys, whose texts do not count. */
export type NewSecrets = { readonly file: string; readonly keys: Tree };

/**
 * The secrets files that an environment lacks and another one has: `model`, or else development, or the first that has
 * some. SOPS leaves names of values readable.
 */
export async function missingSecrets({ name, root }: Pick<Environment, 'name' | 'root'>, model?: string) {
  const existing = [...sharedFiles, ...(await secretNames({ name, root }))];
  const others = [defaultEnvironment, ...(await environmentNames(root))].filter((other) => other !== name);
  for (const other of model === undefined ? others : [model]) {
    const known = await secretNames({ name: other, root });
    if (known.length === 0) continue;
    const missing = known.filter((file) => !existing.includes(file));
    return Promise.all(
      missing.map(async (file) => ({
        file: secretsFile(name, file),
        keys: (await readEncrypted(root, secretsFile(other, file))).tree,
      })),
    );
  }
  return [];
}

/** A map with a text of its own for each value. */
const withTexts = (keys: Tree, text: () => string): Tree =>
  JSON.parse(
    JSON.stringify(keys, (_, value) => (typeof value === 'object' && value !== null ? value : text())),
  );

/** The plain commands of `encryptRandom`, which also write the files; none without files. */
export const encryptCommands = ({ environment }: InEnvironment, files: readonly NewSecrets[]) => [
  ...(files.length === 0 ? [] : [exportHomes(environment, 'GNUPGHOME')]),
  ...files.flatMap(({ file, keys }) => [
    `mkdir -p ${dirname(file)}`,
    `sops ${shellWords([...encryption(file), '--output', file])} /dev/stdin <<END`,
    JSON.stringify(withTexts(keys, () => '$(openssl rand -hex 16)')),
    'END',
  ]),
];

/**
 * The texts of new secrets files with random values, encrypted by their rules of .sops.yaml, by path. Throws
 * `TaskError` if a key of a rule cannot be used.
 */
export async function encryptRandom(context: SecretContext, files: readonly NewSecrets[]) {
  const texts = new Map<string, string>();
  for (const { file, keys } of files) {
    const values = withTexts(keys, newPassword);
    for (const { value } of leavesOf(values)) context.secret(String(value));
    texts.set(file, await encrypt(context, file, values));
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
export async function makeSecrets(context: EnvironmentContext): Promise<void> {
  const { root } = context.environment;
  const missing = await missingSecrets(context.environment);
  if (missing.length === 0) return context.report('unchanged');
  const texts = await encryptRandom(context, missing);
  // Whole files: the next run would take a partial one for a complete one.
  await replaceFiles([...texts].map(([file, text]) => ({ path: join(root, file), text })));
  for (const { file, keys } of missing)
    context.log(
      `${file}: ${leavesOf(keys)
        .map(({ path }) => path.join('.'))
        .join(', ')}`,
    );
  context.report('changed');
}
