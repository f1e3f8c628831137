import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { type CommandOutput, TaskError } from '@k8s-deployment/runner';
import { ifThere } from '../ground/if-there.ts';
import { shellWord } from '../ground/shell-words.ts';
import type { ShellContext, Target } from '../settings/context.ts';
import { noAnswer, toolFailure } from '../tools/tool-answer.ts';
import { howToRestore } from './how-to-restore.ts';
import { keysIn, type OpenPgpKey } from './key-parts.ts';
import { sopsShell } from './shell.ts';

/** The key of a fresh clone; both halves are in the repository. */
export const developmentKeyFile = 'sops/development-operational.asc';

/** Advice for whoever lacks the private half. */
export const giveKey =
  'name its file in SOPS_PGP_KEY_FILE or the setting sops.key, or put the key into SOPS_PGP_KEY (sops/README.md)';

/** Where the operational key's private half comes from. `name` is for messages. */
type KeySource =
  | { readonly kind: 'text'; readonly text: string; readonly name: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly name: string;
      /** A setting has a default, whose file may be missing. */
      readonly by: 'variable' | 'setting';
    };

/** A key with its private half and source. */
type OperationalKey = OpenPgpKey & { readonly source: KeySource };

/**
 * The source of an environment's key: SOPS_PGP_KEY (armoured), else the file named by SOPS_PGP_KEY_FILE or the
 * setting `sops.key`. Child processes never see these variables. Throws `TaskError` if a path contains a key.
 */
export function keySource({ environment, settings }: Target): KeySource {
  const { SOPS_PGP_KEY: text = '', SOPS_PGP_KEY_FILE: file = '' } = process.env;
  if (text !== '') return { kind: 'text', text, name: 'SOPS_PGP_KEY' };
  const named = file !== '' ? file : settings.sops.key;
  // Before any error can quote the value, which may be the key itself.
  if (/[\r\n]|BEGIN PGP/.test(named)) {
    throw new TaskError({
      what: `${file !== '' ? 'SOPS_PGP_KEY_FILE' : 'the setting sops.key'} holds a key, not a path`,
      why: 'it names the file that holds the key',
      advice: 'put the key itself into SOPS_PGP_KEY; in GitLab, use a variable of type "Variable"',
    });
  }
  const path = keyPath(environment.root, named);
  return { kind: 'file', path, name: named, by: file !== '' ? 'variable' : 'setting' };
}

/** The absolute path of a file named relative to the project, the home (`~/…`) or the root. */
const keyPath = (root: string, named: string): string =>
  named.startsWith('~/') ? join(homedir(), named.slice(2)) : isAbsolute(named) ? named : join(root, named);

/** True if a path is inside the project, where it would be committed. */
export const isInProject = (root: string, path: string): boolean => {
  const way = relative(root, path);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way);
};

/** Output of a gpg command that reads the key from its path or stdin, without any part of the key. */
export async function gpgReading(source: KeySource, context: ShellContext, words: readonly string[]) {
  const $ = await sopsShell(context);
  const output = await (source.kind === 'file'
    ? $`gpg --batch ${words} ${source.path}`
    : $({ input: `${source.text}\n` })`gpg --batch ${words}`);
  // gpg quotes unreadable lines of armour (GnuPG: g10/armor.c).
  return { ...output, stderr: output.stderr.replace(/^(gpg: (?:invalid|unexpected) [^:\n]*): .*$/gm, '$1') };
}

/** True if a key is given: by a variable, or by a setting whose file exists. */
export const isGiven = async (source: KeySource): Promise<boolean> =>
  source.kind === 'text' || source.by === 'variable' || (await ifThere(stat(source.path))) !== undefined;

/** The keys that `gpg --show-keys` lists. Throws `TaskError` if gpg failed, unless it found no key. */
export function shownKeys(shown: CommandOutput, name: string): OpenPgpKey[] {
  const noKey = /no valid OpenPGP data|Invalid (?:packet|keyring)|invalid armor|CRC error/i.test(
    shown.stderr,
  );
  const keys = keysIn(shown.stdout);
  if (shown.exitCode === 2 && noKey) return keys;
  if (shown.exitCode !== 0) throw toolFailure(`gpg --show-keys ${name}`, shown);
  if (keys.length === 0) throw noAnswer(`gpg --show-keys ${name}`);
  return keys;
}

/** The only key with a private half. Throws `TaskError` if there is none, several, or one that cannot decrypt. */
export async function readKey(source: KeySource, context: ShellContext): Promise<OperationalKey> {
  const { root } = context.environment;
  const key = (await formProblem(source)) ?? (await shownKey(source, context));
  if (typeof key !== 'string') return { ...key, source };
  throw new TaskError({
    what: `${source.name} holds no key that can decrypt`,
    why: key,
    advice:
      source.kind === 'file' && source.path === join(root, developmentKeyFile)
        ? await howToRestore(root, developmentKeyFile)
        : 'it must be one armoured OpenPGP key with its private half: gpg --armor --export-secret-keys FINGERPRINT',
  });
}

/** The only key with a private half that gpg finds, or why there is none. */
async function shownKey(source: KeySource, context: ShellContext): Promise<OpenPgpKey | string> {
  const shown = await gpgReading(source, context, ['--with-colons', '--show-keys']);
  const found = shownKeys(shown, source.name);
  const own = found.filter(({ isPrivate }) => isPrivate);
  const [key] = own;
  // gpg lists the readable parts of a damaged key.
  if (shown.exitCode !== 0 || found.length === 0) {
    const damage = /^gpg: (?:invalid|unexpected|CRC|no valid) .*$/im.exec(shown.stderr)?.[0];
    return `gpg finds no key in it${damage === undefined ? '' : ` (${damage})`}`;
  }
  if (key === undefined) return 'it is only a public half';
  if (own.length > 1)
    return `it holds ${own.length} private keys: ${own.map(({ fingerprint }) => fingerprint).join(', ')}`;
  return key.parts.some(({ encrypts }) => encrypts) ? key : 'no part of it encrypts: it only signs';
}

/** Why the source cannot be a key, judging by its form. Throws `TaskError` if it cannot be read. */
async function formProblem(source: KeySource): Promise<string | undefined> {
  if (source.kind === 'text') {
    const text = source.text.trim();
    if (text === '') return 'it is empty';
    if (/^-----BEGIN PGP [^\n]*$/.test(text)) return 'its line breaks are lost';
    return /^-----BEGIN PGP .*\r?\n[\w+/=]{40,}\r?$/m.test(text)
      ? 'the blank line after its first line is lost'
      : undefined;
  }
  try {
    const found = await stat(source.path);
    if (found.isDirectory()) return 'it is a folder';
    if (!found.isFile())
      return 'it is a pipe or a device, which can be read only once; SOPS_PGP_KEY takes the text itself';
    return found.size === 0 ? 'it is empty' : undefined;
  } catch (error) {
    throw new TaskError({
      what: `the operational key ${source.name} cannot be read`,
      why: (error as Error).message,
      advice: giveKey,
    });
  }
}

/** A path for a shell in the project's folder; the shell expands `~` only outside of quotes. */
const pathWord = (root: string, path: string): string => {
  if (isInProject(root, path)) return shellWord(relative(root, path));
  const inHome = relative(homedir(), path);
  return /^(?!\.\.)[\w./-]+$/.test(inHome) ? `~/${inHome}` : shellWord(path);
};

/** A plain command that passes the key to a gpg command. */
export const plainReading = (root: string, source: KeySource, command: string): string =>
  source.kind === 'text'
    ? `printf '%s\\n' "$SOPS_PGP_KEY" | ${command}`
    : `${command} ${pathWord(root, source.path)}`;

/** A plain command that writes a key to a file. */
export function plainWriting(root: string, path: string, command: string): string {
  const writing = `${command} > ${pathWord(root, path)}`;
  return isInProject(root, path) ? writing : `(umask 077; ${writing})`;
}

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

/** Throws `TaskError` unless gpg exported a key of these parts, with a usable private half of each. */
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
  const exportedParts = found.map(({ fingerprint }) => fingerprint);
  if (exportedParts.join() !== parts.join())
    throw incomplete(
      `it exported ${exportedParts.join(', ')}, and the public half is of ${parts.join(', ')}`,
    );
  for (const { fingerprint, problem } of found)
    if (problem !== undefined) throw incomplete(`${fingerprint}: ${problem.what}`);
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
