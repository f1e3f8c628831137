import { TaskError } from '@k8s-deployment/runner';
import type { ShellContext } from '../settings/context.ts';
import { noAnswer, toolFailure } from '../tools/tool-answer.ts';
import { gpgReading, type OperationalKey, readKey } from './operational-key.ts';

/**
 * Throws `TaskError` unless a private half is usable without a passphrase, which no task could ask for. Checks the
 * file itself, so that nothing has to be removed from the keyring.
 */
export async function checkPrivateHalf(key: OperationalKey, context: ShellContext): Promise<void> {
  const parts = (await privateParts(key, context)).filter(({ encrypts }) => encrypts);
  const problem = parts.find((part) => part.problem !== undefined)?.problem;
  if (problem === undefined || parts.some((part) => part.problem === undefined)) return;
  throw new TaskError({
    what: `the key in ${key.source.name} cannot be used: ${problem.what}`,
    why: `${problem.why}; it was not imported`,
    advice: problem.advice(key.fingerprint),
  });
}

/** Throws `TaskError` unless gpg exported this key with a usable private half of each part. */
export async function checkExport(exported: string, parts: readonly string[], context: ShellContext) {
  const name = 'what gpg exported';
  const incomplete = (why: string): TaskError =>
    new TaskError({
      what: 'gpg exported only a part of the new key; nothing was changed',
      why,
      advice: 'run it again; if it fails again, check `gpg --version` and disk space',
    });
  const key = await readKey({ kind: 'text', text: exported, name }, context).catch((error: TaskError) => {
    throw incomplete(error.why ?? error.what);
  });
  const found = await privateParts(key, context);
  for (const part of parts) {
    const own = found.find(({ fingerprint }) => fingerprint === part);
    const problem = own === undefined ? absent : own.problem;
    if (problem !== undefined) throw incomplete(`${part}: ${problem.what}`);
  }
}

/** Each part of a key with the problem of its private half. */
async function privateParts({ source, parts }: OperationalKey, context: ShellContext) {
  const command = `gpg --list-packets ${source.name}`;
  const listed = await gpgReading(source, context, ['--list-packets']);
  if (listed.exitCode !== 0) throw toolFailure(command, listed);
  const packets = listed.stdout.split(/^(?=:)/m);
  if (!packets.some((packet) => packet.startsWith(':secret key packet'))) throw noAnswer(command);
  return parts.map((part) => {
    const own = packets.find(
      (packet) => /^:secret (?:sub )?key packet/.test(packet) && packet.includes(`keyid: ${part.id}`),
    );
    return { ...part, problem: own === undefined ? absent : problemOf(own) };
  });
}

type Problem = { readonly what: string; readonly why: string; readonly advice: (key: string) => string };

const absent: Problem = {
  what: 'its private half is missing',
  why: 'the part that decrypts was exported without it, or is on a card',
  advice: (key) => `export it where it is complete: gpg --armor --export-secret-keys ${key}`,
};

/** The problem that gpg's description of a packet shows (GnuPG: g10/parse-packet.c). */
function problemOf(packet: string): Problem | undefined {
  if (/gnu-dummy|gnu-divert-to-card/.test(packet)) return absent;
  if (!/protected\]|^\s*protect IV:/m.test(packet)) return undefined;
  return {
    what: 'it has a passphrase',
    why: 'no task could ask for it',
    advice: (key) =>
      `remove the passphrase from a copy: gpg --edit-key ${key} passwd (an empty one), then gpg --armor --export-secret-keys ${key}`,
  };
}
