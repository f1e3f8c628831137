import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import pMap from 'p-map';
import { root } from '../../lib/ground/project.ts';
import { temporaryFolder } from '../../lib/runner/tests/rig/folder.ts';
import { callIn, outputOf, type Place } from '../rig/programs.ts';

export { root, temporaryFolder };

const keyrings: string[] = [];

// Before the folders are removed.
process.once('exit', () => {
  for (const keyring of keyrings) spawnSync('gpgconf', ['--homedir', keyring, '--kill', 'all']);
});

const home = temporaryFolder();

/** Separate helm folders, so that the user's plugins and repositories do not change results. */
const ownHome = {
  HELM_CACHE_HOME: join(home, 'cache'),
  HELM_CONFIG_HOME: join(home, 'config'),
  HELM_DATA_HOME: join(home, 'data'),
  XDG_CACHE_HOME: join(home, 'xdg'),
  // no test calls a cluster
  KUBECONFIG: join(home, 'no-kubeconfig'),
  GNUPGHOME: join(home, 'no-keyring'),
};

type Options = {
  readonly folder?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly stdin?: string;
};

const placeOf = ({ folder = root, environment }: Options): Place => ({
  folder,
  env: { ...process.env, ...ownHome, ...environment },
});

/** Runs a program for a test that needs no cluster. */
export const run = (program: string, args: readonly string[], options: Options = {}) =>
  callIn(placeOf(options), program, args, options.stdin);

export const succeed = (program: string, args: readonly string[], options: Options = {}) =>
  outputOf(placeOf(options), program, args, options.stdin);

/** A new keyring, whose agent ends with the process. */
export function newKeyring(): { readonly GNUPGHOME: string } {
  const GNUPGHOME = temporaryFolder();
  keyrings.push(GNUPGHOME);
  return { GNUPGHOME };
}

export function once<Result>(make: () => Result): () => Result {
  let made: { readonly result: Result } | undefined;
  return () => {
    made ??= { result: make() };
    return made.result;
  };
}

export const keyring = once(async () => {
  const environment = newKeyring();
  const keys = ['sops/development-operational.asc', 'sops/development-backup.public.asc'];
  await succeed('gpg', ['--batch', '--quiet', '--import', ...keys], { environment });
  return environment;
});

/** Maps with two at a time: helm is one busy core each. */
export const inPairs = <From, To>(
  items: readonly From[],
  convert: (item: From) => Promise<To>,
): Promise<To[]> => pMap(items, convert, { concurrency: 2 });
