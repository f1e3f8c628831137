import { isDeepStrictEqual } from 'node:util';
import { type Shell, TaskError } from '@k8s-deployment/runner';
import { fewAtOnce } from '../ground/few-at-once.ts';
import { leavesOf } from '../ground/tree.ts';
import type { ShellContext } from '../settings/context.ts';
import { noAnswer, parseAnswer, toolFailure } from '../tools/tool-answer.ts';
import { parseEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { explainEncryption, readSopsFailure } from './explain.ts';
import { importPublicKeys } from './keyring.ts';
import { rulesFile } from './recipients.ts';
import { type SecretContext, sopsShell } from './shell.ts';

/** sops' arguments to encrypt a text by the rule for a file. */
export const encryption = (file: string): string[] => [
  'encrypt',
  ...['--filename-override', file],
  ...['--input-type', 'yaml', '--output-type', 'yaml'],
];

const namesOf = (paths: readonly (readonly string[])[]): string => paths.map((path) => path.join('.')).join();

/** A map as YAML, encrypted with sops' `words`; who can open it, and the paths of values left in plain text. */
async function encrypted($: Shell, root: string, file: string, words: readonly string[], content: object) {
  const input = JSON.stringify(content);
  const made = await $({ input: `${input}\n` })`sops ${words}`;
  if (made.exitCode !== 0) throw await explainEncryption($, root, file, made);
  const { recipients = [], values = [], plain = [] } = (await parseEncrypted(made.stdout)) ?? {};
  const isWhole = namesOf(values) === namesOf(leavesOf(JSON.parse(input)).map(({ path }) => path));
  if (recipients.length === 0 || !isWhole)
    throw noAnswer(`sops encrypt ${file}`, 'what it printed is not the whole encrypted file');
  return { text: made.stdout, recipients, plain };
}

/**
 * A map as YAML, encrypted by the rule of .sops.yaml for a file. Throws `TaskError` if a key of the rule cannot be
 * used, or the rule leaves a value in plain text.
 */
export async function encrypt(context: ShellContext, file: string, content: object): Promise<string> {
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  const { text, plain } = await encrypted($, context.environment.root, file, encryption(file), content);
  if (plain.length === 0) return text;
  throw new TaskError({
    what: `the rule for ${file} in ${rulesFile} does not encrypt all values`,
    why: `it leaves ${namesOf(plain)} in plain text`,
    advice: 'remove encrypted_regex, unencrypted_suffix and the like from the rule',
  });
}

/** Only the values of a Secret are encrypted, as Flux expects. */
const fields = '^(data|stringData)$';

/** sops' words to encrypt a Secret by the rule of this file. */
export const encryptWords = (file: string): readonly string[] => [
  ...['encrypt', '--filename-override', file, '--encrypted-regex', fields],
  ...['--input-type', 'json', '--output-type', 'yaml'],
];

/** An encrypted Secret as it was written, and what is in it. */
export type EncryptedObject<Content = object> = { readonly text: string; readonly object: Content };

/**
 * Decrypts Secrets, by name; leaves out those that no key opens. Throws `TaskError` if sops or gpg fails, as the
 * Secrets may be fine.
 */
export async function decryptObjects<Content extends object>(
  context: ShellContext,
  texts: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, EncryptedObject<Content>>> {
  const $ = await sopsShell(context);
  const words = ['decrypt', '--input-type', 'yaml', '--output-type', 'json'];
  const found = await fewAtOnce([...texts], async ([name, text]) => {
    const opened = await $({ input: text })`sops ${words}`;
    if (opened.exitCode === 0) {
      const object = parseAnswer<Content>(`sops decrypt ${name}`, opened);
      return [[name, { text, object }] as const];
    }
    if (/ failed$/.test(readSopsFailure(opened).kind)) throw toolFailure(`sops decrypt ${name}`, opened);
    return [];
  });
  return new Map(found.flat());
}

/**
 * Encrypts Kubernetes Secrets, by name, for the keys of the environment's own secrets files; plain values reach sops on
 * stdin. SOPS never prints the same text twice, so the text of a Secret from `before` is returned if it holds the same
 * values for the same keys. Throws `TaskError` if a key cannot be used.
 */
export async function encryptObjects(
  context: SecretContext,
  objects: ReadonlyMap<string, object>,
  before: ReadonlyMap<string, EncryptedObject>,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  if (objects.size === 0) return texts;
  const { name, root } = context.environment;
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  const file = secretsFile(name, (await secretNames(context.environment))[0] ?? 'database.yaml');
  // One after another: gpg marks the keys of sops as trusted, and loses a mark if two calls do so at the same time.
  for (const [place, object] of objects) {
    const earlier = before.get(place);
    const { text, recipients } = await encrypted($, root, file, encryptWords(file), object);
    const isSame =
      earlier !== undefined &&
      isDeepStrictEqual(earlier.object, object) &&
      isDeepStrictEqual((await parseEncrypted(earlier.text))?.recipients, recipients);
    texts.set(place, isSame ? earlier.text : text);
  }
  return texts;
}
