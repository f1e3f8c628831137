import { taskCommand } from '../ground/launcher.ts';
import { quote, TaskError } from '../runner/runner.ts';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { parseEncrypted } from './encrypted-file.ts';
import { howToRestore } from './how-to-restore.ts';

/** What a failure of SOPS is about. Only `damaged`, `no key`, `no value` and `no file` say something of the file. */
export type SopsFailure =
  | { readonly kind: 'no file' | 'no value' | 'no key' }
  | { readonly kind: 'damaged'; readonly why: string }
  /** gpg has not said that it lacks the key: it was killed, or could not use it. `why` is empty when it said nothing. */
  | { readonly kind: 'gpg failed'; readonly why: string }
  | { readonly kind: 'sops failed' };

/** Reads what SOPS said (3.9 to 3.13) as it ended; it wraps gpg's words into lines of its own. */
export function readSopsFailure(output: Ended): SopsFailure {
  // CouldNotRetrieveKey is 128 and others are 200 and more: no signal has such a number.
  if (signalOf(output) !== undefined) return { kind: 'sops failed' };
  const text = output.stderr.replace(/\n\s+\| */g, ' ');
  if (/non-existent file/.test(text)) return { kind: 'no file' };
  if (/component \[.*\] not found/.test(text)) return { kind: 'no value' };
  if (/get the data key/.test(text)) return readKeyFailure(text);
  const damage =
    /(?:MAC mismatch|Cannot decrypt MAC|Error decrypting tree|metadata not found|Error unmarshalling|(?<![\w./])yaml: ).*/i.exec(
      text,
    )?.[0];
  return damage === undefined ? { kind: 'sops failed' } : { kind: 'damaged', why: damage.trim() };
}

// Each recipient has a part of its own: where ours is damaged, those for the others are whole and only have no key here.
function readKeyFailure(text: string): SopsFailure {
  const damage = /gpg: (?:CRC error|no valid|invalid|.*(?:armor|packet|malformed|bad data))[^|]*/i.exec(text);
  if (damage !== null) return { kind: 'damaged', why: damage[0].trim() };
  const said = [...text.matchAll(/decrypt sops data key with pgp:(.*)/g)].map(([, words = '']) => words);
  // gpg ends with these words also when it has the key and cannot use it, and says why before them.
  const why = (words: string): string | undefined =>
    /public key decryption failed: (.*?)(?: gpg: |$)/.exec(words)?.[1]?.trim() ??
    (/No secret key/i.test(words) ? undefined : (words.split('gpg: ').at(-1)?.trim() ?? ''));
  const reasons = said.flatMap((words) => why(words) ?? []);
  return reasons.length === 0 ? { kind: 'no key' } : { kind: 'gpg failed', why: reasons[0] ?? '' };
}

/** Why SOPS failed with a file, and what helps; its own message is some twenty lines. */
export async function explainSops(file: string, key: string, output: Ended): Promise<TaskError> {
  const failure = readSopsFailure(output);
  const restore = () => howToRestore(file, (committed) => whyUnfit(file, committed));
  switch (failure.kind) {
    case 'no file':
      return new TaskError({
        what: `${file} is not there`,
        why: 'every environment has secrets of its own',
        advice: `${taskCommand('make-secrets')} makes it with random values; one that was committed: ${await restore()}`,
      });
    case 'no value':
      return new TaskError({
        what: `${file} has no value \`${key}\``,
        why: reasonOf(output),
        advice: `add it: sops edit ${quote(file)}; or ${await restore()}`,
      });
    case 'no key':
      return new TaskError({
        what: `no key in the keyring opens ${file}`,
        why: 'it is encrypted for other keys than the operational one',
        advice: `name its key (sops/README.md); or ask who has one for: sops updatekeys ${quote(file)}; ${await restore()}`,
      });
    case 'damaged':
      return new TaskError({ what: `${file} is damaged`, why: failure.why, advice: await restore() });
    case 'gpg failed':
      return new TaskError({
        what: `gpg could not decrypt ${file}`,
        why: failure.why || 'it gave no reason: it was killed, or could not be started',
        advice: /ioctl|pinentry|passphrase|cancel/i.test(failure.why)
          ? 'the key has a passphrase, which no task can ask for: give one without (sops/README.md)'
          : 'run it again; if it stays, try `gpg --version`, free memory and free space. The file is as it was',
      });
    case 'sops failed':
      return toolFailure(`sops decrypt ${file}`, output, 'run it again; the file is as it was');
    default: {
      const never: never = failure;
      throw new Error(`unknown failure ${JSON.stringify(never)}`);
    }
  }
}

/** After a rotation of the keys that is not committed, the committed file is for those before. */
async function whyUnfit(file: string, committed: string): Promise<string | undefined> {
  try {
    const { recipients } = await parseEncrypted(committed, file);
    const wanted = ruleFor(await creationRules(), file)?.recipients;
    if (wanted === undefined || [...recipients].sort().join() === [...wanted].sort().join()) return undefined;
    return `is not for the keys that ${rulesFile} names now`;
  } catch {
    return 'cannot be read either';
  }
}
