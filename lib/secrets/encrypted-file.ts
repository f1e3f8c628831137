import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere } from '../ground/if-there.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { root as projectFolder } from '../ground/project.ts';
import { type CommandOutput, TaskError } from '../runner/runner.ts';
import { environmentNames } from '../settings/settings.ts';
import { noAnswer, parseAnswer } from '../tools/tool-answer.ts';
import { howToRestore } from './how-to-restore.ts';

/** What a SOPS file shows without a key. */
export type EncryptedFile = {
  /** Fingerprints of the keys that open it, as they stand in the file. */
  readonly recipients: readonly string[];
  /** Path of every value. */
  readonly values: readonly (readonly string[])[];
  /** Paths of values that are not encrypted; empty ones, which SOPS leaves alone, are not among them. */
  readonly plain: readonly (readonly string[])[];
  /** Lines with a comment that is not encrypted, from 1 up. */
  readonly plainComments: readonly number[];
};

/** Path of an encrypted file of an environment, relative to the project. */
export const secretsFile = (environment: string, file: string): string =>
  `environments/${environment}/secrets/${file}`;

/** Names of the encrypted files of an environment, sorted; none where there is no folder for them. */
export async function secretNames(environment: string, root: string = projectFolder): Promise<string[]> {
  const folder = `environments/${environment}/secrets`;
  return namesEnding(folder, (await ifThere(readdir(join(root, folder)))) ?? [], '.yaml');
}

/** Paths of the encrypted files of all environments, relative to the project. */
export async function allSecretFiles(root: string = projectFolder): Promise<string[]> {
  const environments = await environmentNames(root);
  const files = environments.map(async (environment) =>
    (await secretNames(environment, root)).map((name) => secretsFile(environment, name)),
  );
  return (await Promise.all(files)).flat();
}

const encrypted = /^ENC\[AES256_GCM,data:.*\]$/;

/** Throws `TaskError` when the text is no YAML map; `file` is only for its words. */
export async function parseEncrypted(text: string, file: string): Promise<EncryptedFile> {
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    // The parser's message would quote the line, which may hold a secret.
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new TaskError({
      what: `${file} is damaged`,
      why: 'it is no YAML map',
      advice: await howToRestore(file),
    });
  }
  const { sops, ...values } = content as { sops?: unknown; [key: string]: unknown };
  const leaves = leavesOf(values);
  return {
    recipients: pgpOf(sops).map(fingerprintText),
    values: leaves.map(({ path }) => path),
    plain: leaves
      .filter(({ value }) => value !== '' && value !== null && !encrypted.test(String(value)))
      .map(({ path }) => path),
    plainComments: text
      .split('\n')
      .flatMap((line, index) => (/^\s*#(?!ENC\[)/.test(line) ? [index + 1] : [])),
  };
}

/**
 * What `sops decrypt --output-type json` printed of a file of the project. Throws `TaskError` for what is no answer, or lacks a
 * value that the file has.
 */
export async function readDecrypted(file: string, output: Pick<CommandOutput, 'stdout'>): Promise<Leaf[]> {
  const leaves = leavesOf(parseAnswer(`sops decrypt ${file}`, output));
  const given = new Set(leaves.map(({ path }) => path.join('.')));
  const lacking = (await readEncrypted(file)).values.find((path) => !given.has(path.join('.')));
  if (lacking === undefined) return leaves;
  throw noAnswer(`sops decrypt ${file}`, `the value \`${lacking.join('.')}\` of the file is not in it`);
}

/** Reads a file of the project. */
export const readEncrypted = async (file: string): Promise<EncryptedFile> =>
  parseEncrypted(await readFile(join(projectFolder, file), 'utf8'), file);

/** True for a date that was written without quotes: SOPS gives it back in another form, as text. */
export async function isTime(file: string, key: string): Promise<boolean> {
  const { parse } = await import('yaml');
  const content = parse(await readFile(join(projectFolder, file), 'utf8')) as {
    readonly [name: string]: unknown;
  };
  return /,type:time\]$/.test(String(content[key]));
}

/** Fingerprints as SOPS takes them: blanks do not count, and capitals neither. */
export const fingerprintText = (text: string): string =>
  text
    .replace(/\s/g, '')
    .replace(/^0x|!$/g, '')
    .toUpperCase();

export type Leaf = { readonly path: readonly string[]; readonly value: unknown };

/** Every value of a tree that is no map or list itself. */
export function leavesOf(tree: unknown, above: readonly string[] = []): Leaf[] {
  if (typeof tree !== 'object' || tree === null) return [{ path: above, value: tree }];
  return Object.entries(tree).flatMap(([key, value]) => leavesOf(value, [...above, key]));
}

/** The PGP keys in SOPS' own part, directly or in groups of keys. */
function pgpOf(sops: unknown): string[] {
  if (typeof sops !== 'object' || sops === null) return [];
  const { pgp, key_groups: groups } = sops as { pgp?: unknown; key_groups?: unknown };
  const direct = Array.isArray(pgp) ? pgp.map((entry: { fp?: unknown }) => String(entry?.fp ?? '')) : [];
  return [...direct, ...(Array.isArray(groups) ? groups.flatMap(pgpOf) : [])];
}
