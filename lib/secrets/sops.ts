import { join } from 'node:path';
import { type Shell, TaskError } from '@k8s-deployment/runner';
import { leavesOf, type Tree, valueAt } from '../ground/tree.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { noAnswer, parseAnswer } from '../tools/tool-answer.ts';
import { editCommand, environmentOf, readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { explainSops, readSopsFailure } from './explain.ts';
import { type SecretContext, sopsShell } from './shell.ts';

/** The values of an encrypted file of the project, or sops' failure. Throws `TaskError` if sops leaves one out. */
export async function openFile($: Shell, root: string, file: string) {
  // Unlike `--extract`, JSON distinguishes text from other types and keeps a final line break.
  const opened = await $`sops decrypt --output-type json ${join(root, file)}`;
  if (opened.exitCode !== 0) return { failure: opened };
  const values = parseAnswer<Tree>(`sops decrypt ${file}`, opened);
  const all = (await readEncrypted(root, file)).values;
  const lacking = all.find((path) => valueAt(values, path) === undefined);
  if (lacking === undefined) return { values };
  throw noAnswer(`sops decrypt ${file}`, `the value \`${lacking.join('.')}\` of the file is missing`);
}

/** The values of an encrypted file of the project. Throws `TaskError` if it is damaged or no key opens it. */
export async function decryptFile(context: ShellContext, file: string): Promise<Tree> {
  const { root } = context.environment;
  const { values, failure } = await openFile(await sopsShell(context), root, file);
  if (failure !== undefined) throw await explainSops(root, file, failure);
  return values;
}

/**
 * Decrypts a value of a file under `environments/<environment>/secrets/`, exactly as vals (in helmfile) does, and
 * redacts it from the run's output. Throws `TaskError` if the file is damaged, no key opens it, or the value is not
 * text.
 */
export async function decryptValue(context: SecretContext, secrets: string, key: string): Promise<string> {
  const { name, root } = context.environment;
  const file = secretsFile(name, secrets);
  const values = await decryptFile(context, file);
  if (!Object.hasOwn(values, key)) {
    throw new TaskError({
      what: `${file} has no value \`${key}\``,
      why: 'its first level has no such key',
      advice: `add it: ${editCommand(file)}`,
    });
  }
  const value = values[key];
  if (typeof value === 'string') context.secret(value);
  // SOPS returns an unquoted date as a text in another format.
  const stored = String((await readEncrypted(root, file)).tree[key]);
  if (typeof value === 'string' && !stored.endsWith(',type:time]')) return value;
  throw new TaskError({
    what: `the value \`${key}\` of ${file} is not a text`,
    why: 'without quotes YAML reads it as a number, a boolean, a date or a map, and the original text is lost',
    advice: `write it in quotes: ${editCommand(file)}`,
  });
}

/**
 * Replaces a value of an encrypted file; the file's keys stay. sops gets the value by stdin. Throws `TaskError` as
 * `decryptValue` does.
 */
export async function encryptValue(context: SecretContext, secrets: string, key: string, value: string) {
  const { name, root } = context.environment;
  context.secret(value);
  const $ = await sopsShell(context);
  const file = secretsFile(name, secrets);
  const input = JSON.stringify(value);
  const result = await $({ input })`sops set --value-stdin ${join(root, file)} ${`["${key}"]`}`;
  if (result.exitCode !== 0) throw await explainSops(root, file, result);
}

/** True for values of shared files that are no secrets: the environment's name, and certificates. */
export const isPublic = (value: string, file: string): boolean =>
  value === '' || value === environmentOf(file) || value.startsWith('-----BEGIN CERTIFICATE-----');

/**
 * All secrets of the environment, which are redacted from the run's output, since programs that decrypt the files may
 * print them. Skips files that no key opens. Throws `TaskError` if sops or gpg fails, because those programs may still
 * succeed.
 */
export async function redactSecrets(context: SecretContext): Promise<readonly string[]> {
  const { name, root } = context.environment;
  const $ = await sopsShell(context);
  const secrets: string[] = [];
  for (const file of (await secretNames(context.environment)).map((one) => secretsFile(name, one))) {
    const { values, failure } = await openFile($, root, file);
    if (failure !== undefined && / failed$/.test(readSopsFailure(failure).kind))
      throw await explainSops(root, file, failure);
    for (const { value } of leavesOf(values ?? {}))
      if (typeof value === 'string' && !isPublic(value, file)) secrets.push(value);
  }
  for (const value of secrets) context.secret(value);
  return secrets;
}

/**
 * The error of the encrypted file that made a command such as helmfile fail; the failure itself if it has another
 * cause.
 */
export async function secretFailure(context: EnvironmentContext, failure: unknown): Promise<unknown> {
  if (!(failure instanceof TaskError) || context.signal.aborted) return failure;
  const named = /sops:\/\/environments\/[^/]+\/secrets\/([^#\s]+)#\/([^\s:]+):/.exec(failure.why ?? '');
  if (named === null) return failure;
  const [, file = '', key = ''] = named;
  // If the value can be decrypted, the command failed for another reason.
  return decryptValue(context, file, key).then(
    () => failure,
    (error: unknown) => error,
  );
}
