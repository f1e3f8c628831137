import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quote, type Shell, TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';
import { notEncrypted, parseEncrypted } from './encrypted-file.ts';
import { howToRestore } from './how-to-restore.ts';
import { encryptionProblem, keysIn } from './key-parts.ts';
import { giveKey } from './operational-key.ts';
import { creationRules, isAmong, isFingerprint, ruleFor, rulesFile } from './recipients.ts';

/**
 * The cause of a SOPS failure. Failures of sops and gpg themselves say nothing about the file: gpg may have the key,
 * but was killed or could not use it (`why` is empty without a reason). With `age failed`, a given key could not be
 * read; with `service failed`, a key service refused or did not answer.
 */
export type SopsFailure =
  | { readonly kind: 'no file' | 'no key' | 'sops failed' }
  | { readonly kind: 'damaged' | 'gpg failed' | 'age failed' | 'service failed'; readonly why: string };

/** Recognises the failure by the messages of SOPS 3.9 to 3.13, which contain those of gpg. */
export function readSopsFailure(output: Ended): SopsFailure {
  // CouldNotRetrieveKey is 128, others are 200 and more: no signal has such a number.
  if (signalOf(output) !== undefined) return { kind: 'sops failed' };
  const text = output.stderr.replace(/\n\s+\| */g, ' ');
  if (/non-existent file/.test(text)) return { kind: 'no file' };
  if (/get the data key/.test(text)) return readKeyFailure(text);
  const damage =
    /(?:MAC mismatch|Cannot decrypt MAC|Error decrypting tree|metadata not found|Error unmarshalling|(?<![\w./])yaml: ).*/i.exec(
      text,
    )?.[0];
  return damage === undefined ? { kind: 'sops failed' } : { kind: 'damaged', why: damage.trim() };
}

// Each recipient has its own part. If ours is damaged, the others are intact and only lack a key here.
function readKeyFailure(text: string): SopsFailure {
  const damage = /gpg: (?:CRC error|no valid|invalid|.*(?:armor|packet|malformed|bad data))[^|\n]*/i.exec(
    text,
  );
  if (damage !== null) return { kind: 'damaged', why: damage[0].trim() };
  const said = [...text.matchAll(/decrypt sops data key with pgp:(.*)/g)].map(([, words = '']) => words);
  // gpg also ends with "No secret key" if it cannot use the key; the reason comes before.
  const why = (words: string): string | undefined =>
    /public key decryption failed: (.*?)(?: gpg: |$)/.exec(words)?.[1]?.trim() ??
    (/No secret key/i.test(words) ? undefined : (words.split('gpg: ').at(-1)?.trim() ?? ''));
  const reasons = said.flatMap((words) => why(words) ?? []);
  if (reasons.length > 0) return { kind: 'gpg failed', why: reasons[0] ?? '' };
  const age = /failed to (?:open SOPS_AGE_KEY_FILE|(?:parse|read) ').*?(?=\. Did not find|; |$)/m;
  const [unread] = age.exec(text) ?? [];
  if (unread !== undefined) return { kind: 'age failed', why: unread };
  const service = /decrypt sops data key (?:with (?:AWS|GCP|Azure)|from Vault)[^|\n]*/.exec(text)?.[0];
  return service === undefined ? { kind: 'no key' } : { kind: 'service failed', why: service.trim() };
}

/** Why SOPS could not decrypt a file, with advice, instead of SOPS' own twenty lines. */
export async function explainSops(root: string, file: string, output: Ended): Promise<TaskError> {
  const failure = readSopsFailure(output);
  const restore = () => howToRestore(root, file);
  switch (failure.kind) {
    case 'no file': {
      const others = (await ifThere(readdir(dirname(join(root, file))))) ?? [];
      return new TaskError({
        what: `${file} does not exist`,
        why: others.length === 0 ? 'every environment has its own secrets' : `there are ${others.join(', ')}`,
        advice: `check its name in the settings; ${taskCommand('make-secrets')} creates those that another environment has; if it was committed: ${await restore()}`,
      });
    }
    case 'no key':
      return new TaskError({
        what: `no key in the keyring opens ${file}`,
        why: 'it is encrypted for other keys than those in it',
        advice: `${giveKey}, or ask an owner of one to run: sops updatekeys ${quote(file)}; ${await restore()}`,
      });
    case 'damaged': {
      const text = (await textIfThere(join(root, file))) ?? '';
      if ((await parseEncrypted(text))?.isPlain) return notEncrypted(file);
      return new TaskError({ what: `${file} is damaged`, why: failure.why, advice: await restore() });
    }
    case 'gpg failed':
      return new TaskError({
        what: `gpg could not decrypt ${file}`,
        why: failure.why || 'it gave no reason: it was killed, or could not be started',
        advice: /ioctl|pinentry|passphrase|cancel/i.test(failure.why)
          ? 'the key has a passphrase, which no task can ask for: use a key without one (sops/README.md)'
          : 'run it again; if it fails again, check `gpg --version`, memory and disk space. The file is unchanged',
      });
    case 'age failed':
      return new TaskError({
        what: `no age key that was given opens ${file}`,
        why: failure.why,
        advice: 'correct SOPS_AGE_KEY, SOPS_AGE_KEY_FILE or the file in your home (sops/README.md)',
      });
    case 'service failed':
      return new TaskError({
        what: `the key service did not decrypt ${file}`,
        why: failure.why,
        advice:
          'log in to the service, or have its owner let you use the key (sops/README.md); the file is unchanged',
      });
    case 'sops failed':
      return toolFailure(`sops decrypt ${file}`, output, 'run it again; the file is unchanged');
    default: {
      const never: never = failure;
      throw new Error(`unknown failure ${JSON.stringify(never)}`);
    }
  }
}

/**
 * Why a file could not be encrypted: the keys of its rule, for which SOPS only says "Unusable public key". `gpg` is
 * the shell for gpg; a rotation of keys is `replacing` some, and has changed nothing.
 */
export async function explainEncryption(
  gpg: Shell,
  root: string,
  file: string,
  output: Ended,
  replacing: readonly string[] = [],
): Promise<TaskError> {
  if (signalOf(output) !== undefined) return toolFailure(`sops encrypt ${file}`, output);
  const suffix = replacing.length === 0 ? '' : '; nothing was changed';
  const wanted = ruleFor(await creationRules(root), file)?.recipients ?? [];
  const others = wanted.filter(
    (fingerprint) => isFingerprint(fingerprint) && !isAmong(replacing, fingerprint),
  );
  const problems = (
    await Promise.all(others.map((fingerprint) => recipientProblem(gpg, fingerprint)))
  ).flatMap((problem) => problem ?? []);
  // Only these messages concern the rule or its keys; others may concern disk space or memory.
  if (problems.length === 0 && !/creation rule|data key|public key|config/i.test(output.stderr))
    return toolFailure(`sops encrypt ${file}`, output, suffix === '' ? undefined : `run it again${suffix}`);
  const missing = problems.some((problem) => problem.endsWith(missingHalf));
  return new TaskError({
    what: `${file} cannot be encrypted for the keys of ${rulesFile}${suffix}`,
    why: problems.length === 0 ? reasonOf(output) : problems.join('\n'),
    advice:
      problems.length === 0
        ? `see the rule for it in ${rulesFile}, and sops/README.md`
        : missing
          ? 'put the public half of each key into sops/, as *.public.asc: sops/README.md'
          : `have its owner extend it (gpg --quick-set-expire) and put its public half into sops/ again, or use another key in ${rulesFile}`,
  });
}

const missingHalf = 'its public half is missing';

async function recipientProblem(gpg: Shell, fingerprint: string): Promise<string | undefined> {
  const listed = await gpg`gpg --batch --with-colons --list-keys ${fingerprint}`;
  // gpg exits with 2 if it has no such key.
  if (listed.exitCode !== 0 && listed.exitCode !== 2) throw toolFailure('gpg --list-keys', listed);
  const [key] = keysIn(listed.stdout);
  const problem = key === undefined ? missingHalf : encryptionProblem(key);
  return problem && `${fingerprint}: ${problem}`;
}
