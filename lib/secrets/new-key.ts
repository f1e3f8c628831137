import { realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { checkWritable } from '../ground/files.ts';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import type { ShellContext, Target } from '../settings/context.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { developmentKeysFile, type Secured, whyNoDevelopmentKeys } from './development-keys.ts';
import { howToRestore, readNeeded } from './how-to-restore.ts';
import { keysIn } from './key-parts.ts';
import { checkExport, developmentKeyFile, isInProject, keySource } from './operational-key.ts';
import { dropStaged, readStaged, stage } from './staged-files.ts';

/** Location of a new operational key. Only the development key's private half may be inside the project. */
export type KeyPlace = {
  readonly kind: 'development' | 'own';
  /** The private half: its path in the project, or an absolute path outside. */
  readonly file: string;
  readonly name: string;
  /** Path of the public half, relative to the project. */
  readonly publicFile: string;
  /** Where your own key that the new one replaces is kept, since earlier commits open only with it. */
  readonly former?: (fingerprint: string) => string;
};

/** The named location, else that of the current key. Throws `UsageError` if no key may be stored there. */
export async function keyPlace(target: Target, named: string | undefined): Promise<KeyPlace> {
  const { root } = target.environment;
  const source = keySource(target);
  const inUse = source.kind === 'file' ? source.path : undefined;
  const path = named === undefined ? inUse : resolve(named);
  if (path === undefined) {
    throw new UsageError({
      what: 'the new key needs a file',
      why: 'the key in use comes from SOPS_PGP_KEY',
      advice: 'name a file outside of the project: --key-file <path>',
    });
  }
  const name = named ?? source.name;
  if (path === join(root, developmentKeyFile)) {
    return {
      kind: 'development',
      file: developmentKeyFile,
      name,
      publicFile: 'sops/development-operational.public.asc',
    };
  }
  if (isInProject(root, await withoutLinks(path))) {
    throw new UsageError({
      what: `${name} lies in the project`,
      why: 'the private half of your own key must not be committed',
      advice: `name a file outside: --key-file <path>; only ${developmentKeyFile} stays inside`,
    });
  }
  if (path !== inUse && (await ifThere(stat(path))) !== undefined) {
    throw new UsageError({
      what: `${name} already exists`,
      why: 'a key in it would be lost',
      advice: 'name a new file: --key-file <path>',
    });
  }
  const former = (fingerprint: string): string => `${path}.${fingerprint}`;
  return {
    kind: 'own',
    file: path,
    name,
    publicFile: 'sops/operational.public.asc',
    ...(path === inUse && { former }),
  };
}

/** Throws `UsageError` unless a new key can be stored there and used in the environment. */
export async function checkPlace(input: Secured, named: string | undefined): Promise<void> {
  const place = await keyPlace(input, named);
  await checkWritable(dirname(resolve(input.environment.root, place.file)));
  const reason = place.kind === 'development' ? whyNoDevelopmentKeys(input) : undefined;
  if (reason === undefined) return;
  throw new UsageError({
    what: 'a new development key would protect nothing',
    why: reason,
    advice:
      'create your own key, outside of the project: --key-file <path>; for a trial: --allow-development-keys',
  });
}

/** The path with its existing links resolved. */
async function withoutLinks(path: string): Promise<string> {
  const above = dirname(path);
  if (above === path) return path;
  const real = await realpath(path).catch(() => undefined);
  return real ?? join(await withoutLinks(above), path.slice(above.length));
}

export const parametersFile = 'sops/new-key.txt';
/** Holds the fingerprint of a key that this run created, until the key is in use. */
export const newKeyFile = 'new-key';

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
  const open = await gpg`gpg --batch --armor --export ${fresh}`;
  const shown = await gpg({ nothrow: true, input: open.stdout })`gpg --batch --with-colons --show-keys`;
  const [half] = keysIn(shown.stdout);
  if (half?.isPrivate !== false || half.fingerprint !== fresh)
    throw noAnswer(`gpg --export ${fresh}`, 'it is not the public half of the key');
  const parts = half.parts.map(({ fingerprint }) => fingerprint);
  // If a private half is missing, gpg omits it and still succeeds.
  const both = await gpg`gpg --batch --armor --export-secret-keys ${fresh}`;
  await checkExport(both.stdout, parts, context);
  const stageHalf = async (file: string, otherwise: string, armour: string): Promise<void> => {
    const [line = ''] = ((await textIfThere(resolve(root, file))) ?? '').split('\n');
    const mark = line === '' || line.startsWith('-----') ? otherwise : line;
    await stage(root, file, `${mark}\n\n${armour.trim()}\n`);
  };
  const never = 'Operational SOPS key, both halves, without a passphrase. Not for git.';
  await stageHalf(place.file, never, both.stdout);
  await stageHalf(place.publicFile, 'Operational SOPS key, public half.', open.stdout);
  if (place.kind === 'own') return;
  const known = await readNeeded(root, developmentKeysFile);
  const lines = parts.map((fingerprint, index) =>
    index === 0 ? `- ${fingerprint} # operational\n` : `- ${fingerprint} # its part that encrypts\n`,
  );
  await stage(root, developmentKeysFile, `${known.trimEnd()}\n${lines.join('')}`);
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
