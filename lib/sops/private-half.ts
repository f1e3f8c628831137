import { type TaskContext, TaskError } from '../runner/runner.ts';
import { toolFailure } from '../tool-answer.ts';
import { gpgReading, type OperationalKey } from './operational-key.ts';

/**
 * Throws `TaskError` unless a private half can be used as it is: no task could ask for a passphrase. Looked at in the file itself,
 * so that nothing has to be taken out of the keyring again.
 */
export async function checkPrivateHalf(key: OperationalKey, context: TaskContext): Promise<void> {
  const { source, parts } = key;
  const listed = await gpgReading(source, context, ['--list-packets']);
  if (listed.exitCode !== 0) throw toolFailure(`gpg --list-packets ${source.name}`, listed);
  const able = parts.filter(({ encrypts }) => encrypts).map(({ id }) => id);
  const packets = listed.stdout
    .split(/^(?=:)/m)
    .filter((packet) => /^:secret (?:sub )?key packet/.test(packet));
  const own = packets.filter((packet) => able.some((id) => packet.includes(`keyid: ${id}`)));
  const problems = own.map(problemOf);
  const problem = problems.find((found) => found !== undefined);
  if (problem === undefined || problems.includes(undefined)) return;
  throw new TaskError({
    what: `the key in ${source.name} cannot be used: ${problem.what}`,
    why: `${problem.why}; it was not imported`,
    advice: problem.advice(key.fingerprint),
  });
}

type Problem = { readonly what: string; readonly why: string; readonly advice: (key: string) => string };

/** By what gpg says of a packet (GnuPG: g10/parse-packet.c). */
function problemOf(packet: string): Problem | undefined {
  if (/gnu-dummy|gnu-divert-to-card/.test(packet)) {
    return {
      what: 'its private half is not in it',
      why: 'the part that decrypts was exported without it, or is on a card',
      advice: (key) => `export it from where it is whole: gpg --armor --export-secret-keys ${key}`,
    };
  }
  if (!/protected\]|^\s*protect IV:/m.test(packet)) return undefined;
  return {
    what: 'it has a passphrase',
    why: 'no task could ask for it',
    advice: (key) =>
      `take the passphrase off a copy: gpg --edit-key ${key} passwd (an empty one), then gpg --armor --export-secret-keys ${key}`,
  };
}
