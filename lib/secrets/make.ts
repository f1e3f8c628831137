import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { root } from '../ground/project.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { type Environment, exportHomes, writeWhole } from '../settings/environment.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { parseEncrypted, readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { importPublicKeys } from './operational-key.ts';
import { explainEncryption } from './recipients.ts';
import { sopsShell } from './shell.ts';

/** The environment whose files say which secrets there are: names of values are not encrypted. */
const model = 'development';

type MissingFile = {
  /** Path, relative to the project. */
  readonly file: string;
  /** Names of its values. */
  readonly keys: readonly string[];
};

/** The secrets files that an environment lacks. */
export async function missingSecrets(environment: string): Promise<MissingFile[]> {
  const there = await secretNames(environment);
  const missing = (await secretNames(model)).filter((name) => !there.includes(name));
  return Promise.all(
    missing.map(async (name) => {
      const { values } = await readEncrypted(secretsFile(model, name));
      return { file: secretsFile(environment, name), keys: values.map((path) => path.join('.')) };
    }),
  );
}

async function checkEncrypted(file: string, text: string, keys: readonly string[]): Promise<void> {
  const made = await parseEncrypted(text, file).catch(() => undefined);
  const names = made?.values.map((path) => path.join('.'));
  const isEncrypted = made !== undefined && made.recipients.length > 0 && made.plain.length === 0;
  if (isEncrypted && names?.join() === keys.join()) return;
  throw noAnswer(`sops encrypt ${file}`, 'what it printed is not the whole encrypted file');
}

const encryption = (file: string): string[] => [
  'encrypt',
  ...['--filename-override', file],
  ...['--input-type', 'yaml', '--output-type', 'yaml'],
];

/** The plain commands of `makeSecrets`, for `--dry-run`. */
export async function makeCommands(environment: Environment): Promise<readonly string[]> {
  const missing = await missingSecrets(environment.name);
  if (missing.length === 0) return [`# environments/${environment.name}/secrets has every file`];
  return [
    exportHomes(environment, 'GNUPGHOME'),
    ...missing.flatMap(({ file, keys }) => [
      `mkdir -p ${dirname(file)}`,
      `for key in ${keys.join(' ')}; do echo "$key: '$(openssl rand -hex 16)'"; done | sops ${encryption(file).join(' ')} --output ${file} /dev/stdin`,
    ]),
  ];
}

/**
 * Makes the secrets files that the environment lacks, with random values, encrypted by the rule of .sops.yaml that is for them. A
 * file that is there is left alone. Throws `TaskError` when nothing can be encrypted for a key of the rule.
 */
export async function makeSecrets(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const missing = await missingSecrets(environment.name);
  if (missing.length === 0) return context.report('unchanged');
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  for (const { file, keys } of missing) {
    const values = keys.map((key) => [key, randomBytes(16).toString('hex')] as const);
    for (const [, value] of values) context.secret(value);
    const input = values.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('');
    await mkdir(dirname(join(root, file)), { recursive: true });
    // Node gives a socket as stdin, which cannot be opened by a name; a pipe can.
    const made = await $({ input })`cat | sops ${encryption(file)} /dev/stdin`;
    if (made.exitCode !== 0) throw await explainEncryption($, file, made);
    await checkEncrypted(file, made.stdout, keys);
    // Half a file would be taken for one that is there.
    await writeWhole(join(root, file), made.stdout, 0o644);
    context.log(`${file}: ${keys.join(', ')}`);
  }
  context.report('changed');
}
