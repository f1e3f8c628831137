import { readdir } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { poll } from '../../../lib/ground/poll.ts';
import type { Ended } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { callIn } from '../../rig/programs.ts';
import type { Sandbox } from '../sandbox.ts';

/** Runs a program in the sandbox's folder with a keyring, and leaves no agent behind. */
async function withHome({ folder, env }: Sandbox, home: string, words: readonly string[]): Promise<Ended> {
  const place = { folder, env: { ...env, GNUPGHOME: home } };
  const [program = '', ...args] = words;
  const result = await callIn(place, program, args);
  await callIn(place, 'gpgconf', ['--kill', 'all']);
  // A dying agent gives the next program no answer.
  await poll(async () => !(await readdir(home)).includes('S.gpg-agent') || undefined, 5000);
  return result;
}

export async function inKeyring(sandbox: Sandbox, ...words: readonly string[]): Promise<string> {
  const home = sandbox.path('.state/development/gnupg');
  const { exitCode, stdout, stderr } = await withHome(sandbox, home, words);
  assert.is(exitCode, 0, stderr);
  return stdout;
}

/** Runs a program with a new keyring that holds the keys of these files. */
export async function withKeys(sandbox: Sandbox, files: readonly string[], ...words: readonly string[]) {
  const home = temporaryFolder();
  if (files.length > 0) {
    const { exitCode, stderr } = await withHome(sandbox, home, ['gpg', '--batch', '--import', ...files]);
    assert.is(exitCode, 0, stderr);
  }
  return withHome(sandbox, home, words);
}

/** The values of an encrypted file, or undefined if none of these keys opens it. */
export async function openedBy(sandbox: Sandbox, keys: readonly string[], file: string) {
  const { exitCode, stdout } = await withKeys(sandbox, keys, 'sops', 'decrypt', file);
  return exitCode === 0 ? stdout : undefined;
}

/** A new key without a passphrase, of gpg's usual form or another one. */
export async function makeKey(sandbox: Sandbox, form = 'future-default') {
  const script = [
    `gpg --batch --quiet --passphrase "" --quick-generate-key "$RANDOM$$" ${form} 2> /dev/null`,
    'gpg --with-colons --list-keys; gpg --batch --armor --export-secret-keys; gpg --batch --armor --export',
  ].join('\n');
  const { stdout } = await withKeys(sandbox, [], 'bash', '-c', script);
  const [listed = '', secret = '', open = ''] = stdout.split(/^(?=-----BEGIN)/m);
  return { fingerprint: /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '', secret, open };
}
