import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { quote, TaskError } from '@k8s-deployment/runner';
import { namesEnding } from '../ground/file-names.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import { isTree, leavesOf, type Tree } from '../ground/tree.ts';
import type { Environment } from '../settings/context.ts';
import type { SecretKey } from '../settings/secret-reference.ts';
import { environmentNames } from '../settings/settings.ts';
import { howToRestore, readNeeded } from './how-to-restore.ts';
import { recipientsIn } from './recipients.ts';

/** Path of an environment's encrypted file, relative to the project. */
export const secretsFile = (environment: string, file: string): string =>
  `environments/${environment}/secrets/${file}`;

/** A plain command that prints one value of an environment's encrypted file. */
export const decryptText = (environment: string, { file, key }: SecretKey): string =>
  extractText(secretsFile(environment, file), [key]);

/** The same for a file's path in the project and a path of keys. */
export function extractText(file: string, path: readonly string[]): string {
  const place = path.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `["${key}"]`)).join('');
  return `sops decrypt --extract ${shellWord(place)} ${shellWord(file)}`;
}

/** Names of an environment's encrypted files, sorted; empty without the folder. */
export async function secretNames({ name, root }: Pick<Environment, 'name' | 'root'>): Promise<string[]> {
  const folder = `environments/${name}/secrets`;
  return namesEnding(folder, (await ifThere(readdir(join(root, folder)))) ?? [], '.yaml');
}

/** Paths of all environments' encrypted files, relative to the project. */
export async function allSecretFiles(root: string): Promise<string[]> {
  const files = (await environmentNames(root)).map(async (name) =>
    (await secretNames({ name, root })).map((file) => secretsFile(name, file)),
  );
  return (await Promise.all(files)).flat();
}

const encrypted = /^ENC\[AES256_GCM,data:.*\]$/;

export const noMap = 'it is not a YAML map';

/**
 * The parts of a SOPS file that are readable without a key; undefined if it is not a YAML map, since the parser's error
 * might quote a secret.
 */
export async function parseEncrypted(text: string) {
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    return undefined;
  }
  if (!isTree(content)) return undefined;
  const { sops, ...values } = content;
  const leaves = leavesOf(values);
  const recipients = recipientsIn(sops);
  return {
    /** The keys that open it: see recipients.ts. */
    recipients,
    /** True if nothing is encrypted; an encrypted file that was cut off lacks only the metadata. */
    isPlain: recipients.length === 0 && !text.includes('ENC[AES256_GCM,'),
    tree: values as Tree,
    /** Path of each value. */
    values: leaves.map(({ path }) => path),
    /** Paths of unencrypted values, except empty ones, which SOPS never encrypts. */
    plain: leaves
      .filter(({ value }) => value !== '' && value !== null && !encrypted.test(String(value)))
      .map(({ path }) => path),
    /** Lines with an unencrypted comment, counted from 1. */
    plainComments: text
      .split('\n')
      .flatMap((line, index) => (/^\s*#(?!ENC\[)/.test(line) ? [index + 1] : [])),
  };
}

/** Reads an encrypted file. Throws `TaskError` if it is not a YAML map. */
export async function readEncrypted(root: string, file: string) {
  const found = await parseEncrypted(await readNeeded(root, file));
  if (found !== undefined) return found;
  throw new TaskError({ what: `${file} is damaged`, why: noMap, advice: await howToRestore(root, file) });
}

/** The task that opens a secrets file, for advice. */
export const editCommand = (file: string): string =>
  taskCommand(`edit-secrets ${shellWord(basename(file))}`, environmentOf(file));

/** The environment of a secrets file. */
export const environmentOf = (file: string): string | undefined => file.split('/')[1];

/** The error of a file in plain text. */
export const notEncrypted = (file: string): TaskError =>
  new TaskError({
    what: `${file} is not encrypted`,
    why: 'it has no metadata of SOPS',
    advice: `encrypt it in the shell of ${taskCommand('env')}: sops encrypt --in-place ${quote(file)}; without a cluster, move it away, take the committed one (git checkout HEAD -- ${quote(file)}) or a new one (${taskCommand('make-secrets', environmentOf(file))}), and enter the values with ${editCommand(file)}`,
  });
