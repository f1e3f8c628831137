import { join } from 'node:path';
import { type Shell, TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import type { ShellContext } from '../settings/context.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { developmentKeysFile } from './development-keys.ts';
import { howToRestore, readNeeded } from './how-to-restore.ts';
import { keysIn } from './key-parts.ts';
import type { KeyPlace } from './key-place.ts';
import { checkExport } from './private-half.ts';
import { dropStaged, readStaged, stage } from './staged-files.ts';

export const parametersFile = 'sops/new-key.txt';
/** Holds the fingerprint of a key that this run created, until the key is in use. */
export const newKeyFile = 'new-key';
/** Name of the staged private half. */
export const privateHalf = 'private.asc';

/** Creates a key in the environment's keyring and returns its fingerprint. */
export async function generate({ $, environment }: ShellContext, place: KeyPlace): Promise<string> {
  const { root } = environment;
  const parameters = await readNeeded(root, parametersFile);
  const comment = place.kind === 'development' ? 'Name-Comment: DEVELOPMENT ONLY\n' : '';
  const input = `${parameters.trimEnd()}\n${comment}`;
  const made = await $({ quiet: true, input })`gpg --batch --status-fd 1 --generate-key`;
  const fingerprint = /KEY_CREATED B ([0-9A-F]{40,})/.exec(made.stdout)?.[1];
  if (fingerprint === undefined) {
    if (!/KEY_CREATED/.test(made.stdout)) throw noAnswer('gpg --generate-key');
    throw new TaskError({
      what: 'gpg created no key that encrypts',
      why: `${parametersFile} describes no part that does`,
      advice: await howToRestore(root, parametersFile),
    });
  }
  await stage(root, newKeyFile, fingerprint);
  return fingerprint;
}

/** Stages both halves of a new key, with the line that describes each file. */
export async function stageKey(context: ShellContext, place: KeyPlace, fresh: string): Promise<void> {
  const { root } = context.environment;
  const gpg = context.$({ quiet: true });
  const shown = await gpg`gpg --batch --with-colons --list-keys ${fresh}`;
  const parts = keysIn(shown.stdout).flatMap((key) => key.parts.map(({ fingerprint }) => fingerprint));
  if (parts[0] !== fresh) throw noAnswer(`gpg --list-keys ${fresh}`);
  // If a private half is missing, gpg omits it and still succeeds.
  const both = await gpg`gpg --batch --armor --export-secret-keys ${fresh}`;
  await checkExport(both.stdout, parts, context);
  const open = await publicHalf(gpg, fresh, parts);
  const marked = async (path: string, otherwise: string, armour: string): Promise<string> => {
    const before = (await textIfThere(path)) ?? '';
    const [line = ''] = before.split('\n');
    return `${before === '' || line.startsWith('-----') ? otherwise : line}\n\n${armour.trim()}\n`;
  };
  const never = 'Operational SOPS key, both halves, without a passphrase. Not for git.';
  await stage(root, privateHalf, await marked(place.path, never, both.stdout));
  const publicPath = join(root, place.publicFile);
  await stage(root, place.publicFile, await marked(publicPath, 'Operational SOPS key, public half.', open));
  if (place.kind === 'own') return;
  const known = await readNeeded(root, developmentKeysFile);
  const lines = parts.map((fingerprint, index) =>
    index === 0 ? `- ${fingerprint} # operational\n` : `- ${fingerprint} # its part that encrypts\n`,
  );
  await stage(root, developmentKeysFile, `${known.trimEnd()}\n${lines.join('')}`);
}

async function publicHalf(gpg: Shell, fresh: string, parts: readonly string[]): Promise<string> {
  const open = await gpg`gpg --batch --armor --export ${fresh}`;
  const reread = await gpg({
    nothrow: true,
    input: open.stdout,
  })`gpg --batch --with-colons --show-keys`;
  const [half] = keysIn(reread.stdout);
  if (half?.isPrivate === false && half.parts.map(({ fingerprint }) => fingerprint).join() === parts.join())
    return open.stdout;
  throw noAnswer(`gpg --export ${fresh}`, 'it is not the public half of the whole key');
}

/** Removes a key from the keyring. */
export async function forgetKey({ $ }: ShellContext, fingerprint: string): Promise<void> {
  await $({ quiet: true, nothrow: true })`gpg --batch --yes --delete-secret-and-public-key ${fingerprint}`;
}

/** Removes what an unfinished run left. */
export async function forgetUnfinished(context: ShellContext): Promise<void> {
  const { root } = context.environment;
  const fingerprint = (await ifThere(readStaged(root, newKeyFile))) ?? '';
  if (fingerprint !== '') await forgetKey(context, fingerprint);
  await dropStaged(root);
}
