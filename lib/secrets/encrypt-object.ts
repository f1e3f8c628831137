import { isDeepStrictEqual } from 'node:util';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { noAnswer, parseAnswer } from '../tools/tool-answer.ts';
import { parseEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { explainEncryption } from './explain.ts';
import { importPublicKeys } from './keyring.ts';
import { sopsShell } from './shell.ts';

/** Only the values of a Secret are encrypted, as Flux expects. */
const fields = '^(data|stringData)$';

/** sops' words to encrypt a Secret by the rule of this file. */
export const encryptWords = (file: string): readonly string[] => [
  ...['encrypt', '--filename-override', file, '--encrypted-regex', fields],
  ...['--input-type', 'json', '--output-type', 'yaml'],
];

/**
 * Encrypts Kubernetes Secrets for the keys of the environment's own secrets files; plain values reach sops on stdin.
 * `earlier` is the present encrypted text of each, if any: SOPS never prints the same text twice, so it is returned if
 * it still holds the same values for the same keys. Throws `TaskError` if a key cannot be used.
 */
export async function encryptObjects(
  context: ShellContext & Pick<EnvironmentContext, 'secret'>,
  objects: readonly { readonly object: object; readonly earlier: string | undefined }[],
): Promise<readonly string[]> {
  if (objects.length === 0) return [];
  const { name, root } = context.environment;
  await importPublicKeys(context);
  const $ = await sopsShell(context);
  const file = secretsFile(name, (await secretNames(context.environment))[0] ?? 'database.yaml');
  return Promise.all(
    objects.map(async ({ object, earlier }) => {
      // Node passes a socket as stdin, which cannot be opened by name; a pipe can.
      const made = await $({ input: JSON.stringify(object) })`cat | sops ${encryptWords(file)} /dev/stdin`;
      if (made.exitCode !== 0) throw await explainEncryption($, root, file, made);
      const encrypted = await parseEncrypted(made.stdout);
      if (encrypted === undefined || encrypted.recipients.length === 0)
        throw noAnswer(`sops encrypt ${file}`, 'what it printed is not an encrypted file');
      const isKept = earlier !== undefined && (await isCurrent(earlier, object, encrypted.recipients));
      return isKept ? earlier : made.stdout;
    }),
  );

  async function isCurrent(text: string, object: object, recipients: readonly string[]) {
    if (!isDeepStrictEqual((await parseEncrypted(text))?.recipients, recipients)) return false;
    const words = ['decrypt', '--input-type', 'yaml', '--output-type', 'json'];
    // If it cannot be decrypted, the new text replaces it.
    const opened = await $({ input: text })`cat | sops ${words} /dev/stdin`;
    return opened.exitCode === 0 && isDeepStrictEqual(parseAnswer('sops decrypt', opened), object);
  }
}
