import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { ifThere } from '../ground/if-there.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { root } from '../ground/project.ts';
import { shellWord } from '../ground/shell-words.ts';
import { type CommandOutput, TaskError } from '../runner/runner.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { type Environment, settingsOf } from '../settings/environment.ts';
import { noAnswer, toolFailure } from '../tools/tool-answer.ts';
import { howToRestore } from './how-to-restore.ts';
import { keysIn, type OpenPgpKey } from './key-parts.ts';
import { sopsShell } from './shell.ts';

/** The key that a fresh clone works with: both halves are in the repository. */
export const developmentKeyFile = 'sops/development-operational.asc';

/** Where the operational key with its private half comes from. */
export type KeySource =
  | { readonly kind: 'text'; readonly text: string; readonly name: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly name: string;
      /** The setting has a default: a file that it names need not be there. */
      readonly by: 'variable' | 'setting';
    };

/** A key with its private half, and where it comes from. */
export type OperationalKey = OpenPgpKey & { readonly source: KeySource };

/**
 * The key of an environment: SOPS_PGP_KEY (armoured), else the file that SOPS_PGP_KEY_FILE or the setting `sops.key` names.
 * Programs that we start never see these variables. `name` is for people. Throws `TaskError` for a key where a path belongs.
 */
export async function keySource(environment: Environment): Promise<KeySource> {
  const { SOPS_PGP_KEY: text = '', SOPS_PGP_KEY_FILE: file = '' } = process.env;
  if (text !== '') return { kind: 'text', text, name: 'SOPS_PGP_KEY' };
  const named = file !== '' ? file : (await settingsOf(environment)).sops.key;
  // Checked before any error can quote the value, since it may be the key itself.
  if (/[\r\n]|BEGIN PGP/.test(named)) {
    throw new TaskError({
      what: `${file !== '' ? 'SOPS_PGP_KEY_FILE' : 'the setting sops.key'} holds a key, not a path`,
      why: 'it is to name the file that holds the key',
      advice: 'give the key itself in SOPS_PGP_KEY; in GitLab, that is a variable of type "Variable"',
    });
  }
  return { kind: 'file', path: keyPath(named), name: named, by: file !== '' ? 'variable' : 'setting' };
}

/** A path as people write it: in the project, in the home (`~/…`) or from the root. */
export const keyPath = (named: string): string =>
  named.startsWith('~/') ? join(homedir(), named.slice(2)) : isAbsolute(named) ? named : join(root, named);

/** Whether a path lies in the project, where it would be committed. */
export const isInProject = (path: string): boolean => {
  const way = relative(root, path);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way);
};

/** A command of gpg that reads the key: a file by its path, a text on stdin. What it says shows nothing of the key. */
export async function gpgReading(
  source: KeySource,
  context: ShellContext,
  words: readonly string[],
): Promise<CommandOutput> {
  const $ = await sopsShell(context);
  const output = await (source.kind === 'file'
    ? $`gpg --batch ${words} ${source.path}`
    : $({ input: `${source.text}\n` })`gpg --batch ${words}`);
  // Of armour that it cannot read gpg shows the line (GnuPG: g10/armor.c).
  return { ...output, stderr: output.stderr.replace(/^(gpg: (?:invalid|unexpected) [^:\n]*): .*$/gm, '$1') };
}

/** Whether a key is given at all: named by a variable, or where the setting says that there is one. */
export const isGiven = async (source: KeySource): Promise<boolean> =>
  source.kind === 'text' || source.by === 'variable' || (await ifThere(stat(source.path))) !== undefined;

/** The keys that `gpg --show-keys` lists, none for what is no key. Throws `TaskError` when gpg failed and has not said so. */
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

/** The one key with a private half. Throws `TaskError` when there is none, or more than one, and for one that opens nothing. */
export async function readKey(source: KeySource, context: EnvironmentContext): Promise<OperationalKey> {
  const form = await formOf(source);
  const shown =
    form === undefined ? await gpgReading(source, context, ['--with-colons', '--show-keys']) : undefined;
  const found = shown === undefined ? [] : shownKeys(shown, source.name);
  const own = found.filter(({ isPrivate }) => isPrivate);
  const [key] = own;
  // Of a damaged one gpg lists what it could read.
  const isWhole = shown?.exitCode === 0;
  if (isWhole && key !== undefined && own.length === 1 && key.parts.some(({ encrypts }) => encrypts)) {
    return { ...key, source };
  }
  const damage = /^gpg: (?:invalid|unexpected|CRC|no valid) .*$/im.exec(shown?.stderr ?? '')?.[0];
  throw new TaskError({
    what: `${source.name} holds no key that opens anything`,
    why:
      form ??
      (isWhole ? whyNone(found, own) : undefined) ??
      `gpg finds no key in it${damage === undefined ? '' : ` (${damage})`}`,
    advice:
      source.kind === 'file' && isInProject(source.path)
        ? await howToRestore(relative(root, source.path))
        : 'it has to be one armoured OpenPGP key with its private half: gpg --armor --export-secret-keys FINGERPRINT',
  });
}

/** Why it can be no key, by its form alone. Throws `TaskError` when there is nothing at its place. */
async function formOf(source: KeySource): Promise<string | undefined> {
  if (source.kind === 'text') {
    const text = source.text.trim();
    if (text === '') return 'it is empty';
    if (/^-----BEGIN PGP [^\n]*$/.test(text)) return 'its line ends are lost';
    return /^-----BEGIN PGP .*\r?\n[\w+/=]{40,}\r?$/m.test(text)
      ? 'the blank line after its first one is lost'
      : undefined;
  }
  try {
    const found = await stat(source.path);
    if (found.isDirectory()) return 'it is a folder';
    if (!found.isFile())
      return 'it is a pipe or a device, which can be read only once; SOPS_PGP_KEY takes a text';
    return found.size === 0 ? 'it is empty' : undefined;
  } catch (error) {
    throw new TaskError({
      what: `the operational key ${source.name} cannot be read`,
      why: (error as Error).message,
      advice: 'name its place in SOPS_PGP_KEY_FILE or the setting sops.key, or give the key in SOPS_PGP_KEY',
    });
  }
}

function whyNone(found: readonly OpenPgpKey[], own: readonly OpenPgpKey[]): string | undefined {
  if (own.length > 1) {
    return `it holds ${own.length} private keys: ${own.map(({ fingerprint }) => fingerprint).join(', ')}`;
  }
  if (own.length === 1) return 'it has no part that encrypts: it only signs';
  return found.length > 0 ? 'it is a public half alone' : undefined;
}

/** Fingerprints of the key and of its parts, the key's own first. Throws `TaskError` as `readKey` does. */
export const fingerprintsOf = async (
  source: KeySource,
  context: EnvironmentContext,
): Promise<readonly string[]> => (await readKey(source, context)).parts.map(({ fingerprint }) => fingerprint);

/** Public halves of all keys that files are encrypted for, relative to the project. */
export async function publicKeyFiles(): Promise<string[]> {
  const names = await readdir(join(root, 'sops'));
  return namesEnding('sops', names, '.public.asc').map((name) => `sops/${name}`);
}

/** Words for gpg; `importChanged` reads what it prints. */
export const importing = ['--status-fd', '1', '--import'];

/** Whether an import changed the keyring, by its counts (GnuPG: doc/DETAILS, "IMPORT_RES"). Throws `TaskError` when it failed. */
export function importChanged(command: string, output: CommandOutput): boolean {
  if (output.exitCode !== 0) throw toolFailure(command, output);
  const counts = /^\[GNUPG:\] IMPORT_RES ([\d ]+)/m.exec(output.stdout)?.[1]?.split(' ').map(Number);
  if (counts === undefined) throw noAnswer(command);
  const [, , imported, , , users, parts, signatures, revocations, , privateHalves] = counts;
  return [imported, users, parts, signatures, revocations, privateHalves].some((count) => count !== 0);
}

/** Puts them into the keyring: whoever writes a secret encrypts it for the backup key as well. Returns whether it had to. */
export async function importPublicKeys(context: EnvironmentContext): Promise<boolean> {
  const { environment } = context;
  const $ = await sopsShell(context);
  const files = await publicKeyFiles();
  if (files.length === 0) return false;
  const loaded = await $`gpg --batch --homedir ${environment.gnupgHome} ${importing} ${files}`;
  return importChanged(`gpg --import ${files.join(' ')}`, loaded);
}

/** A path for a shell in the project's folder, which opens `~` only outside of quotes. */
const pathWord = (path: string): string => {
  if (isInProject(path)) return shellWord(relative(root, path));
  const inHome = relative(homedir(), path);
  return /^(?!\.\.)[\w./-]+$/.test(inHome) ? `~/${inHome}` : shellWord(path);
};

/** A gpg command that reads the key, as a plain command. */
export const plainReading = (source: KeySource, command: string): string =>
  source.kind === 'text'
    ? `printf '%s\\n' "$SOPS_PGP_KEY" | ${command}`
    : `${command} ${pathWord(source.path)}`;

/** Writing to a file of a key, as a plain command. */
export const plainWriting = (path: string, command: string): string =>
  isInProject(path) ? `${command} > ${pathWord(path)}` : `(umask 077; ${command} > ${pathWord(path)})`;
