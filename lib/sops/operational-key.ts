import { access, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { type Environment, settingsOf, shellOf } from '../environment.ts';
import { namesEnding } from '../leftover-files.ts';
import { root } from '../project.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import { shellWord } from '../shell-words.ts';

/** The key that a fresh clone works with: both halves are in the repository. */
export const developmentKeyFile = 'sops/development-operational.asc';

/** Where the operational key with its private half comes from. */
export type KeySource =
  | { readonly kind: 'text'; readonly text: string; readonly name: string }
  | { readonly kind: 'file'; readonly path: string; readonly name: string };

/**
 * The key of an environment: SOPS_PGP_KEY (armoured), else the file that SOPS_PGP_KEY_FILE or the setting `sops.key` names.
 * Programs that we start never see these variables. `name` is for people.
 */
export async function keySource(environment: Environment): Promise<KeySource> {
  const { SOPS_PGP_KEY: text = '', SOPS_PGP_KEY_FILE: file = '' } = process.env;
  if (text !== '') return { kind: 'text', text, name: 'SOPS_PGP_KEY' };
  const named = file !== '' ? file : (await settingsOf(environment)).sops.key;
  return { kind: 'file', path: keyPath(named), name: named };
}

/** A path as people write it: in the project, in the home (`~/…`) or from the root. */
export const keyPath = (named: string): string =>
  named.startsWith('~/') ? join(homedir(), named.slice(2)) : isAbsolute(named) ? named : join(root, named);

/** Whether a path lies in the project, where it would be committed. */
export const isInProject = (path: string): boolean => {
  const way = relative(root, path);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way);
};

/** Fingerprints of the key and of its parts, the key's own first. Throws `TaskError` when there is none. */
export async function fingerprintsOf(source: KeySource, context: TaskContext): Promise<readonly string[]> {
  const $ = await shellOf(context);
  const quiet = { quiet: true, nothrow: true } as const;
  if (source.kind === 'file') {
    await access(source.path).catch((error: Error) => {
      throw new TaskError({
        what: `the operational key ${source.name} cannot be read`,
        why: error.message,
        advice:
          'name its place in SOPS_PGP_KEY_FILE or the setting sops.key, or give the key in SOPS_PGP_KEY',
      });
    });
  }
  const show = ['--batch', '--with-colons', '--show-keys'];
  const shown =
    source.kind === 'file'
      ? await $(quiet)`gpg ${show} ${source.path}`
      : await $({ ...quiet, input: `${source.text}\n` })`gpg ${show}`;
  const found = [...shown.stdout.matchAll(/^fpr:+([0-9A-F]{40,}):/gm)].map(
    ([, fingerprint]) => fingerprint ?? '',
  );
  if (found.length > 0 && /^sec:/m.test(shown.stdout)) return found;
  throw new TaskError({
    what: `${source.name} holds no key that opens anything`,
    why: found.length > 0 ? 'it is a public half alone' : 'gpg finds no key in it',
    advice:
      source.kind === 'file' && isInProject(source.path)
        ? `restore it: git checkout -- ${source.name}`
        : 'it has to be an armoured OpenPGP key with its private half',
  });
}

/** Public halves of all keys that files are encrypted for, relative to the project. */
export async function publicKeyFiles(): Promise<string[]> {
  const names = await readdir(join(root, 'sops'));
  return namesEnding(names, '.public.asc').map((name) => `sops/${name}`);
}

/** Puts them into the keyring: whoever writes a secret encrypts it for the backup key as well. */
export async function importPublicKeys(environment: Environment, context: TaskContext): Promise<void> {
  const $ = await shellOf(context);
  const files = await publicKeyFiles();
  if (files.length === 0) return;
  await $({ quiet: true })`gpg --batch --homedir ${environment.gnupgHome} --import ${files}`;
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
