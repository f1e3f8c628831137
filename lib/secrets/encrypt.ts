import type { Shell } from '@k8s-deployment/runner';
import { noAnswer } from '../tools/tool-answer.ts';
import { parseEncrypted } from './encrypted-file.ts';
import { explainEncryption } from './explain.ts';

/** sops' arguments to encrypt a text by the rule for a file. */
export const encryption = (file: string): string[] => [
  'encrypt',
  ...['--filename-override', file],
  ...['--input-type', 'yaml', '--output-type', 'yaml'],
];

/**
 * A YAML text encrypted by the rule of .sops.yaml for a file; `keys` are the paths of its values. `$` is `sopsShell`,
 * with the public halves imported. Throws `TaskError` if a key of the rule cannot be used.
 */
export async function encrypt(
  $: Shell,
  root: string,
  file: string,
  input: string,
  keys: readonly string[],
): Promise<string> {
  // Node passes a socket as stdin, which cannot be opened by name; a pipe can.
  const made = await $({ input })`cat | sops ${encryption(file)} /dev/stdin`;
  if (made.exitCode !== 0) throw await explainEncryption($, root, file, made);
  const found = await parseEncrypted(made.stdout);
  const names = found?.values.map((path) => path.join('.'));
  const isEncrypted = found !== undefined && found.recipients.length > 0 && found.plain.length === 0;
  if (isEncrypted && names?.join() === keys.join()) return made.stdout;
  throw noAnswer(`sops encrypt ${file}`, 'what it printed is not the whole encrypted file');
}
