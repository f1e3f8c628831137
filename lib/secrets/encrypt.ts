import { type Shell, TaskError } from '@k8s-deployment/runner';
import { noAnswer } from '../tools/tool-answer.ts';
import { rulesFile } from './creation-rules.ts';
import { leavesOf, parseEncrypted } from './encrypted-file.ts';
import { explainEncryption } from './explain.ts';

/** sops' arguments to encrypt a text by the rule for a file. */
export const encryption = (file: string): string[] => [
  'encrypt',
  ...['--filename-override', file],
  ...['--input-type', 'yaml', '--output-type', 'yaml'],
];

const namesOf = (paths: readonly (readonly string[])[]): string => paths.map((path) => path.join('.')).join();

/**
 * A map as YAML, encrypted by the rule of .sops.yaml for a file. `$` is `sopsShell`, with the public halves imported.
 * Throws `TaskError` if a key of the rule cannot be used, or the rule leaves a value in plain text.
 */
export async function encrypt($: Shell, root: string, file: string, content: object): Promise<string> {
  const input = JSON.stringify(content);
  // Node passes a socket as stdin, which cannot be opened by name; a pipe can.
  const made = await $({ input: `${input}\n` })`cat | sops ${encryption(file)} /dev/stdin`;
  if (made.exitCode !== 0) throw await explainEncryption($, root, file, made);
  const { recipients = [], values = [], plain = [] } = (await parseEncrypted(made.stdout)) ?? {};
  const isWhole = namesOf(values) === namesOf(leavesOf(JSON.parse(input)).map(({ path }) => path));
  if (recipients.length === 0 || !isWhole)
    throw noAnswer(`sops encrypt ${file}`, 'what it printed is not the whole encrypted file');
  if (plain.length === 0) return made.stdout;
  throw new TaskError({
    what: `the rule for ${file} in ${rulesFile} does not encrypt all values`,
    why: `it leaves ${namesOf(plain)} in plain text`,
    advice: 'remove encrypted_regex, unencrypted_suffix and the like from the rule',
  });
}
