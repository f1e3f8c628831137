import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { root } from '../../lib/ground/project.ts';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';

export { root };

const folders: string[] = [];
const keyrings: string[] = [];

process.once('exit', () => {
  for (const keyring of keyrings) spawnSync('gpgconf', ['--homedir', keyring, '--kill', 'all']);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with a short path (a gpg-agent socket has to fit), removed at the end of the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kd-'));
  folders.push(folder);
  return folder;
}

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

/** Folder and variables of a program. */
export type Place = { readonly folder: string; readonly env: NodeJS.ProcessEnv };

/** Runs a program to its end. A missing program is an error. */
export function callIn(place: Place, program: string, args: readonly string[], stdin = ''): Promise<Ended> {
  const child = spawn(program, args, { cwd: place.folder, env: place.env });
  // a program that reads no stdin may end before it is written
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return ended(child);
}

/** Runs a program for a test that needs no cluster. */
export const run = (
  program: string,
  args: readonly string[],
  { folder = root, environment = {}, stdin = '' } = {},
): Promise<Ended> =>
  callIn({ folder, env: { ...process.env, ...ownHome, ...environment } }, program, args, stdin);

/** stdout of a program; throws its error if it fails. */
export async function succeed(...[program, args, options]: Parameters<typeof run>): Promise<string> {
  const { exitCode, stdout, stderr } = await run(program, args, options);
  if (exitCode === 0) return stdout;
  throw new Error(`\`${program} ${args.join(' ')}\` ended with ${exitCode}:\n${stderr}`);
}

/** A new keyring, whose agent ends with the process. */
export function newKeyring(): { readonly GNUPGHOME: string } {
  const GNUPGHOME = temporaryFolder();
  keyrings.push(GNUPGHOME);
  return { GNUPGHOME };
}

/** A function whose result is kept. */
export function once<Result>(make: () => Result): () => Result {
  let made: { readonly result: Result } | undefined;
  return () => {
    made ??= { result: make() };
    return made.result;
  };
}

/** The keyring with the development key. */
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
