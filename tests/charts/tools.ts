import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, absolute. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export type Ended = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  /** Default: the project's folder. */
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
};

let home: Promise<string> | undefined;

/** Separate helm folders, so that the user's plugins and repositories do not change results. */
async function ownHome(): Promise<Record<string, string>> {
  home ??= temporaryFolder();
  const folder = await home;
  return {
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
    XDG_CACHE_HOME: join(folder, 'xdg'),
    // no test calls a cluster
    KUBECONFIG: join(folder, 'no-kubeconfig'),
    GNUPGHOME: join(folder, 'no-keyring'),
  };
}

const folders: string[] = [];

/** A folder with a short path (a gpg-agent socket has to fit), removed by `cleanUp`. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kd-'));
  folders.push(folder);
  return folder;
}

/** Removes the temporary folders; for `test.after`. */
export async function cleanUp(): Promise<void> {
  home = undefined;
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

/** Runs a program to its end, for at most a minute. A missing program is an error; nothing is skipped. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const env = { ...process.env, ...(await ownHome()), ...options.environment };
  return new Promise((resolve, reject) => {
    const settings = { cwd: options.folder ?? root, env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
    const child = execFile(program, args, settings, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') {
        reject(new Error(`Expected \`${program}\` on PATH: the chart tests run the real tools`));
      } else if (error && typeof error.code !== 'number') {
        reject(new Error(`\`${program} ${args.join(' ')}\` ended by ${error.signal ?? error.message}`));
      } else {
        resolve({ exitCode: Number(error?.code ?? 0), stdout, stderr });
      }
    });
    // a program that reads no stdin may end before it is written
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.stdin ?? '');
  });
}

/** Like `run`, but throws the program's error if it fails. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const ended = await run(program, args, options);
  if (ended.exitCode === 0) return ended;
  throw new Error(`\`${program} ${args.join(' ')}\` ended with ${ended.exitCode}:\n${ended.stderr}`);
}

/** Calls `use` with a keyring that has the development key, and leaves no gpg-agent behind. */
export async function withKeyring<T>(use: (environment: { GNUPGHOME: string }) => Promise<T>): Promise<T> {
  const GNUPGHOME = await temporaryFolder();
  const environment = { GNUPGHOME };
  try {
    await succeed('gpg', ['--batch', '--quiet', '--import', 'sops/development-operational.asc'], {
      environment,
    });
    return await use(environment);
  } finally {
    await run('gpgconf', ['--homedir', GNUPGHOME, '--kill', 'all'], { environment });
  }
}

/** Maps with two at a time: helm is one busy core each. */
export async function inPairs<From, To>(
  items: readonly From[],
  convert: (item: From) => Promise<To>,
): Promise<To[]> {
  const results: To[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await convert(items[index] as From);
    }
  };
  await Promise.all([worker(), worker()]);
  return results;
}
