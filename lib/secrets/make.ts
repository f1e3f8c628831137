import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { EnvironmentContext, InEnvironment, ShellContext } from '../settings/context.ts';
import { type Environment, exportHomes, writeWhole } from '../settings/environment.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { parseEncrypted, readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { explainEncryption } from './explain.ts';
import { importPublicKeys } from './keyring.ts';
import { sopsShell } from './shell.ts';

/** The environment whose files define which secrets exist; SOPS leaves names of values readable. */
const model = 'development';

type MissingFile = {
  /** Relative to the project. */
  readonly file: string;
  readonly keys: readonly string[];
};

/** The secrets files that the environment lacks. */
async function missingSecrets({ name, root }: Environment): Promise<MissingFile[]> {
  const existing = await secretNames({ name, root });
  const missing = (await secretNames({ name: model, root })).filter((file) => !existing.includes(file));
  return Promise.all(
    missing.map(async (file) => {
      const { values } = await readEncrypted(root, secretsFile(model, file));
      return { file: secretsFile(name, file), keys: values.map((path) => path.join('.')) };
    }),
  );
}

async function checkEncrypted(file: string, text: string, keys: readonly string[]): Promise<void> {
  const made = await parseEncrypted(text);
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
export async function makeCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const missing = await missingSecrets(environment);
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
 * Creates missing secrets files with random values, encrypted by their rule of .sops.yaml. Leaves existing files
 * alone. Throws `TaskError` if a key of the rule cannot be used.
 */
export async function makeSecrets(
  context: ShellContext & Pick<EnvironmentContext, 'log' | 'report' | 'secret'>,
): Promise<void> {
  const { environment } = context;
  const { root } = environment;
  const missing = await missingSecrets(environment);
  if (missing.length === 0) return context.report('unchanged');
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  for (const { file, keys } of missing) {
    const values = keys.map((key) => [key, randomBytes(16).toString('hex')] as const);
    for (const [, value] of values) context.secret(value);
    const input = values.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('');
    await mkdir(dirname(join(root, file)), { recursive: true });
    // Node passes a socket as stdin, which cannot be opened by name; a pipe can.
    const made = await $({ input })`cat | sops ${encryption(file)} /dev/stdin`;
    if (made.exitCode !== 0) throw await explainEncryption($, root, file, made);
    await checkEncrypted(file, made.stdout, keys);
    // Atomically: the next run would take a partial file for a complete one.
    await writeWhole(join(root, file), made.stdout, 0o644);
    context.log(`${file}: ${keys.join(', ')}`);
  }
  context.report('changed');
}
