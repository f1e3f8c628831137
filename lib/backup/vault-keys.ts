import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { shellWords } from '../ground/shell-words.ts';
import { encrypt, encryption } from '../secrets/encrypt.ts';
import { parseEncrypted, secretsFile } from '../secrets/encrypted-file.ts';
import { readSopsFailure, type SopsFailure } from '../secrets/explain.ts';
import { vaultKeysFile } from '../secrets/shared-file.ts';
import { type SecretContext, sopsShell } from '../secrets/shell.ts';
import { writeWhole } from '../settings/environment.ts';
import { reasonOf } from '../tools/tool-answer.ts';
import { parseKeys, textsOfKeys, type VaultKeys } from '../vault/api/keys-file.ts';

/** The keys that open a snapshot, beside it. */
const keysFile = (folder: string): string => join(folder, 'keys.yaml');

/** A file for which `.sops.yaml` has the environment's rule. */
const ruleFile = (environment: string): string => secretsFile(environment, vaultKeysFile);

/** sops' words to encrypt keys from stdin. */
export const encryptionWords = (environment: string): readonly string[] => [
  ...['sops', ...encryption(ruleFile(environment)), '/dev/stdin'],
];

/** Writes the keys beside a snapshot, encrypted for the same keys as the environment's secrets, without any token. */
export async function writeKeys(context: SecretContext, folder: string, keys: VaultKeys): Promise<void> {
  const { unseal_keys_b64, recovery_keys_b64 } = keys;
  const content = { unseal_keys_b64, recovery_keys_b64 };
  await writeWhole(keysFile(folder), await encrypt(context, ruleFile(context.environment.name), content));
}

/** The keys beside a snapshot; undefined if there are none. Throws `TaskError` if no key of the keyring opens them. */
export async function readStoredKeys(context: SecretContext, folder: string): Promise<VaultKeys | undefined> {
  const file = keysFile(folder);
  const text = await textIfThere(file);
  if (text === undefined) return undefined;
  const recipients = (await parseEncrypted(text))?.recipients;
  if (recipients?.length === 0 && !text.includes('ENC[')) {
    throw new TaskError({
      what: `${file} is not encrypted`,
      why: 'it has no metadata of SOPS',
      advice: `nothing was changed; encrypt it: ${shellWords(['sops', ...encryption(ruleFile(context.environment.name)), '--in-place', file])}`,
    });
  }
  const $ = await sopsShell(context);
  const opened = await $`sops decrypt --output-type json ${file}`;
  const keys = opened.exitCode === 0 ? parseKeys(opened.stdout) : undefined;
  if (keys === undefined) {
    const failure: SopsFailure =
      opened.exitCode === 0 ? { kind: 'damaged', why: 'it holds no keys of Vault' } : readSopsFailure(opened);
    const [why, advice] =
      failure.kind === 'no key'
        ? [
            `it is encrypted for other keys than yours: ${recipients?.join(', ')}`,
            'name the file of such a key in SOPS_PGP_KEY_FILE: the backup key, or the operational key from before `rotate-keys` (docs/restore.md)',
          ]
        : [
            ('why' in failure && failure.why) || reasonOf(opened),
            `nothing was changed; ${failure.kind === 'damaged' ? 'take it from another copy of the backup' : 'run it again'}`,
          ];
    throw new TaskError({ what: `${file} cannot be decrypted`, why, advice });
  }
  for (const text of textsOfKeys(keys)) context.secret(text);
  return keys;
}
