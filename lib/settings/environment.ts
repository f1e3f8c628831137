import { createHash } from 'node:crypto';
import { mkdir, readdir, readlink, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Options, processIdentity, type TaskContext, TaskError } from '@k8s-deployment/runner';
import { type ProviderName, providerNames, providerOf } from '../cluster/providers.ts';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { adviseOn, taskCommand } from '../ground/launcher.ts';
import { root as projectFolder } from '../ground/project.ts';
import { shellWord } from '../ground/shell-words.ts';
import { passedOn } from '../ground/variables.ts';
import type { Environment } from './context.ts';
import type { GlobalOptions } from './global-options.ts';

/** Eight hexadecimal digits that identify an environment of a clone. */
export function cloneKey(environment: string, clone: string): string {
  return createHash('sha256').update(`${clone}\n${environment}`).digest('hex').slice(0, 8);
}

/** Base for short or plain paths. TMPDIR may change before the next run, and processes outlive this one. */
const shortFolder = '/tmp';

/**
 * The keyring's folder. gpg-agent's socket is in it, and socket paths are limited to about 107 bytes (`sun_path`,
 * unix(7)), so a deep clone gets a short folder.
 */
function gnupgHomeOf(state: string, key: string): string {
  const home = join(state, 'gnupg');
  return Buffer.byteLength(join(home, 'S.gpg-agent.browser')) <= 100
    ? home
    : join(shortFolder, `k8sd-${key}`);
}

/**
 * The state folder, or a link to it if its path contains special characters: kwok cuts variables at a blank, kwok and
 * helm split lists at commas and quotes, and vault calls its token helper through a shell.
 */
export function plainStateOf(state: string, key: string): string {
  return /^[\p{L}\p{N}_@%+=:./-]+$/u.test(state) ? state : join(shortFolder, `k8sd-${key}-state`);
}

/** Creates the link if needed. Throws `TaskError` if its path is taken. */
async function linkState({ state, plainState }: Environment): Promise<void> {
  if (plainState === state) return;
  await symlink(state, plainState).catch(async (error: Error) => {
    if ((await readlink(plainState).catch(() => '')) === state) return;
    throw new TaskError({
      what: `cannot link ${plainState} to ${state}`,
      why: error.message,
      advice: `remove it (\`rm -r ${plainState}\`), or move the clone to a path without special characters`,
    });
  });
}

/** Removes the state folder and the link to it. */
export async function removeState({ state, plainState }: Environment): Promise<void> {
  if (plainState !== state) await rm(plainState, { force: true });
  await rm(state, { recursive: true, force: true });
}

/** Path of the runner's records. Outside the state folder, whose existence means that the environment exists. */
export const memoryOf = (environment: string, root: string): string => join(root, '.tasks', environment);

/** Removes the records of earlier runs, so that nothing can be resumed. */
export async function forgetRuns({ name, root }: Environment): Promise<void> {
  await rm(memoryOf(name, root), { recursive: true, force: true });
  // Fails while other environments have records.
  await rmdir(join(root, '.tasks')).catch(() => undefined);
}

export function environmentOf(options: Options, root: string = projectFolder): Environment {
  const { env: name, provider, context: asked = '' } = options as GlobalOptions;
  const key = cloneKey(name, root);
  const state = join(root, '.state', name);
  const clusterName = `${name}-${key}`;
  const context = providerOf({ provider }).contextOf?.(clusterName) ?? asked;
  return {
    name,
    provider,
    root,
    state,
    kubeconfig: join(state, 'kubeconfig'),
    context,
    clusterName,
    gnupgHome: gnupgHomeOf(state, key),
    plainState: plainStateOf(state, key),
  };
}

/** Home folders of the tools, below the state folder. */
export function homesOf({ gnupgHome, kubeconfig, plainState, state }: Environment) {
  const helm = join(state, 'helm');
  return {
    KUBECONFIG: kubeconfig,
    // By default kubectl and helm cache API server data under ~/.kube.
    KUBECACHEDIR: join(state, 'kube-cache'),
    GNUPGHOME: gnupgHome,
    HELM_CACHE_HOME: join(helm, 'cache'),
    HELM_CONFIG_HOME: join(helm, 'config'),
    HELM_DATA_HOME: join(helm, 'data'),
    // helmfile caches remote values and charts in it.
    HELMFILE_CACHE_HOME: join(helm, 'helmfile'),
    KWOK_WORKDIR: join(plainState, 'kwok'),
  } as const;
}

type Home = keyof ReturnType<typeof homesOf>;

export const helmHomes = [
  'HELM_CACHE_HOME',
  'HELM_CONFIG_HOME',
  'HELM_DATA_HOME',
  'HELMFILE_CACHE_HOME',
] as const;

/** A plain command that sets some of these variables, to paste in the project's folder. */
export function exportHomes(environment: Environment, ...names: readonly Home[]): string {
  const { state, plainState } = environment;
  const homes = homesOf(environment);
  const isLinked = names.includes('KWOK_WORKDIR') && plainState !== state;
  const link = isLinked ? `ln -sfn ${shellWord(state)} ${plainState} && ` : '';
  return `${link}export ${names.map((name) => `${name}=${shellWord(homes[name])}`).join(' ')}`;
}

/**
 * Variables for programs that tasks start: the user's allowed ones, PATH with the tools, and the homes. With
 * `onRunEnd`, for those that end with the run, whose temporary files are then removed.
 */
export async function processEnvironment(
  environment: Environment,
  { onRunEnd }: Partial<Pick<TaskContext, 'onRunEnd'>> = {},
): Promise<NodeJS.ProcessEnv> {
  const { state, plainState } = environment;
  const own = await mkdir(temporaryFolder(state), { mode: 0o700 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'EEXIST',
  );
  if (own) await linkState(environment);
  const folder = onRunEnd === undefined ? temporaryFolder(plainState) : undefined;
  const { toolEnvironment } = await import('../tools/tools.ts');
  return {
    ...passedOn(process.env),
    TMPDIR: own ? (folder ?? (await runFolder(plainState, onRunEnd))) : tmpdir(),
    PATH: await toolEnvironment(),
    ...homesOf(environment),
    NO_COLOR: '1',
  };
}

type Memory = { readonly provider: ProviderName; readonly context?: string };

/** The record of how the environment was created; undefined if it was not. Throws `TaskError` if it is damaged. */
export const remembered = ({ name, root }: Pick<Environment, 'name' | 'root'>): Promise<Memory | undefined> =>
  readStateFile({ name, state: join(root, '.state', name) }, 'environment.json', {
    what: ', the record of the environment, is damaged',
    isWhole: (memory: Memory | null) => memory !== null && providerNames.includes(memory.provider),
    advice: `name its provider with --provider (${providerNames.join(', ')}): ${taskCommand('create-environment')} repairs the file, ${taskCommand('destroy-environment')} removes everything`,
  });

export const remember = ({ name, provider, context, state }: Environment): Promise<void> => {
  adviseOn(name);
  const memory: Memory = providerOf({ provider }).contextOf ? { provider } : { provider, context };
  return writeStateFile({ state }, 'environment.json', memory);
};

/** Reads a JSON file in the state folder; undefined if it does not exist. Throws `TaskError` if it is damaged. */
export async function readStateFile<Content>(
  { name, state }: Pick<Environment, 'name' | 'state'>,
  file: string,
  kind: {
    /** Completes a sentence that begins with the file. */
    readonly what: string;
    readonly isWhole: (content: Content | null) => boolean;
    /** Default: the parser's message, which may quote the file. */
    readonly why?: string;
    readonly advice: string;
  },
): Promise<Content | undefined> {
  const text = await textIfThere(join(state, file));
  if (text === undefined) return undefined;
  let reason = 'a part of it is missing';
  try {
    const content = JSON.parse(text) as Content | null;
    if (kind.isWhole(content)) return content as Content;
  } catch (error) {
    reason = (error as Error).message;
  }
  const { what, why = reason, advice } = kind;
  throw new TaskError({ what: `.state/${name}/${file}${what}`, why, advice });
}

/** Writes a JSON file to the state folder, readable only by the user. */
export const writeStateFile = (
  { state }: Pick<Environment, 'state'>,
  file: string,
  content: object,
): Promise<void> => writeWhole(join(state, file), `${JSON.stringify(content, null, 2)}\n`);

/** Writes a file atomically; by default readable only by the user. */
export async function writeWhole(path: string, content: string, mode = 0o600): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, content, { mode });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** For temporary files of programs. */
const temporaryFolder = (state: string): string => join(state, 'tmp');

/** The name of a process's folder, which another process with its pid does not get; undefined if it has ended. */
async function runNameOf(pid: number): Promise<string | undefined> {
  const identity = await processIdentity(pid);
  if (identity === undefined) return undefined;
  const digest = createHash('sha256').update(`${identity.startTime}\n${identity.bootId}`).digest('hex');
  return `run-${pid}-${digest.slice(0, 8)}`;
}

/**
 * A folder for this run's temporary files, which may show secrets: what helmfile leaves if it is killed, for example.
 * It is removed at the end of the run, after a SIGKILL by the next one that holds the lock.
 */
export async function runFolder(state: string, onRunEnd?: TaskContext['onRunEnd']): Promise<string> {
  const folder = join(temporaryFolder(state), (await runNameOf(process.pid)) ?? 'run');
  // Undefined if it exists, as for later tasks of the run.
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined) onRunEnd?.(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Removes the folders of runs that were killed. Returns how many runs have one. */
export async function removeRunFolders(state: string): Promise<number> {
  const folder = temporaryFolder(state);
  let runs = 0;
  for (const name of (await ifThere(readdir(folder))) ?? []) {
    const [, pid] = /^run-(\d+)-/.exec(name) ?? [];
    if (pid === undefined) continue;
    if (name === (await runNameOf(Number(pid)))) runs += 1;
    else await rm(join(folder, name), { recursive: true, force: true });
  }
  return runs;
}
