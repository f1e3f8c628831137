import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../ground/launcher.ts';
import { root } from '../ground/project.ts';
import { quote, TaskError } from '../runner/runner.ts';
import type { EnvironmentContext, ShellContext } from '../settings/context.ts';
import { type Environment, exportHomes } from '../settings/environment.ts';
import { parseAnswer } from '../tools/tool-answer.ts';
import { isTime, readDecrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { explainSops, readSopsFailure } from './explain.ts';
import { encryptionProblem } from './key-parts.ts';
import {
  gpgReading,
  importChanged,
  importing,
  importPublicKeys,
  keySource,
  plainReading,
  readKey,
} from './operational-key.ts';
import { checkPrivateHalf } from './private-half.ts';
import { sopsShell } from './shell.ts';

/** The plain commands of `importKeys`, for `--dry-run`. */
export const importCommands = async (environment: Environment): Promise<readonly string[]> => [
  exportHomes(environment, 'GNUPGHOME'),
  'mkdir -p -m 700 "$GNUPGHOME"',
  plainReading(await keySource(environment), 'gpg --batch --import'),
  'gpg --batch --import sops/*.public.asc',
];

/** Makes the folder of a keyring, for the user alone. Throws `TaskError` when it is somebody else's, or they could write there. */
export async function ensureHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const found = await lstat(home);
  const ours = process.getuid === undefined || found.uid === process.getuid();
  if (found.isDirectory() && ours && (found.mode & 0o022) === 0) return chmod(home, 0o700);
  throw new TaskError({
    what: `${home} cannot hold a keyring`,
    why: 'it is not a folder that only you can write to',
    advice: `look at what is in it; keep it with \`chmod 700 ${quote(home)}\`, or move it away; then run again`,
  });
}

/**
 * Imports the operational key into the environment's own keyring. Returns whether it had to. gpg-agent, which gpg leaves
 * running for each keyring, is ended with the run.
 */
export async function importKeys(context: EnvironmentContext): Promise<'changed' | 'unchanged'> {
  const { environment } = context;
  const home = environment.gnupgHome;
  await ensureHome(home);
  context.onRunEnd(() => stopAgent(context));
  const key = await readKey(await keySource(environment), context);
  await checkPrivateHalf(key, context);
  // Always: a keyring may have the key as it was before it was renewed, or a part of it.
  const loaded = await gpgReading(key.source, context, ['--homedir', home, ...importing]);
  const own = importChanged(`gpg --import ${key.source.name}`, loaded);
  const others = await importPublicKeys(context);
  if (!own && !others) return 'unchanged';
  const old = encryptionProblem(key);
  if (old !== undefined) {
    context.log(
      `warning: of the key in ${key.source.name}, ${old}: it opens files, but none can be encrypted for it; ${taskCommand('rotate-keys')} makes a new one`,
    );
  }
  return 'changed';
}

/** Ends the keyring's gpg-agent; nothing happens when there is none. */
export async function stopAgent(context: ShellContext): Promise<void> {
  const { $, environment } = context;
  const sockets = await readdir(environment.gnupgHome).catch(() => []);
  if (!sockets.some((name) => name.startsWith('S.gpg-agent'))) return;
  await $({ quiet: true, nothrow: true })`gpgconf --homedir ${environment.gnupgHome} --kill all`;
}

/** Ends the agent and removes a keyring that had to lie outside the state folder. */
export async function removeKeyring(context: ShellContext): Promise<void> {
  const { environment } = context;
  await stopAgent(context);
  await rm(environment.gnupgHome, { recursive: true, force: true });
}

/**
 * One value of an encrypted file under `environments/<environment>/secrets/`, exactly as vals (in helmfile) reads it. It is redacted from everything that
 * the run writes. Throws `TaskError` when the file is damaged, no key of the keyring fits, or the value is not a text.
 */
export async function decryptValue(
  context: EnvironmentContext,
  secrets: string,
  key: string,
): Promise<string> {
  const { environment } = context;
  const $ = await sopsShell(context);
  const file = secretsFile(environment.name, secrets);
  const result = await $`sops decrypt --output-type json ${join(root, file)}`;
  if (result.exitCode !== 0) throw await explainSops(file, key, result);
  // JSON tells a text from all else, and keeps a line break at its end; `--extract` does neither.
  const values = parseAnswer<{ readonly [name: string]: unknown }>(`sops decrypt ${file}`, result);
  if (!Object.hasOwn(values, key)) {
    throw new TaskError({
      what: `${file} has no value \`${key}\``,
      why: 'its first level has no such key',
      advice: `add it: sops edit ${quote(file)}`,
    });
  }
  const value = values[key];
  if (typeof value === 'string') context.secret(value);
  if (typeof value === 'string' && !(await isTime(file, key))) return value;
  throw new TaskError({
    what: `the value \`${key}\` of ${file} is not a text`,
    why: 'without quotes YAML took it for a number, a boolean, a date or a map, and what was typed is lost',
    advice: `write it in quotes: sops edit ${quote(file)}`,
  });
}

/**
 * Replaces one value of an encrypted file. It goes to sops by stdin; the file's keys stay as they are. Throws `TaskError` as
 * `decryptValue` does.
 */
export async function encryptValue(
  context: EnvironmentContext,
  secrets: string,
  key: string,
  value: string,
): Promise<void> {
  const { environment } = context;
  context.secret(value);
  const $ = await sopsShell(context);
  const file = secretsFile(environment.name, secrets);
  const result = await $({
    input: JSON.stringify(value),
  })`sops set --value-stdin ${join(root, file)} ${`["${key}"]`}`;
  if (result.exitCode === 0) return;
  if (/flag provided but not defined/.test(result.stderr)) {
    throw new TaskError({
      what: 'this sops cannot set a value that comes by stdin',
      why: 'it is older than 3.11, and a value among its arguments would be seen by everybody on this machine',
      advice: `put sops 3.11 or newer on the PATH, or none: then ${taskCommand('install-tools')} gets it`,
    });
  }
  throw await explainSops(file, key, result);
}

/**
 * From now on no value of the environment's secrets shows in what the run writes: for programs that read the files by themselves
 * and, asked for details, tell what they have read. A file that nobody here can open is left to them to complain about. Throws
 * `TaskError` when sops or gpg fail: those programs may open what we could not.
 */
export async function redactSecrets(
  context: Pick<EnvironmentContext, '$' | 'secret' | 'environment'>,
): Promise<void> {
  const { environment } = context;
  const $ = await sopsShell(context);
  for (const name of await secretNames(environment.name)) {
    const file = secretsFile(environment.name, name);
    const opened = await $`sops decrypt --output-type json ${join(root, file)}`;
    if (opened.exitCode !== 0) {
      if (/ failed$/.test(readSopsFailure(opened).kind)) throw await explainSops(file, '', opened);
      continue;
    }
    for (const { value } of await readDecrypted(file, opened)) {
      if (typeof value === 'string' && value !== '') context.secret(value);
    }
  }
}

/**
 * What stands behind the failure of a command that reads encrypted files by itself (helmfile). Returns an error that names
 * the file, or the failure itself when it is about something else.
 */
export async function secretFailure(context: EnvironmentContext, failure: unknown): Promise<unknown> {
  if (!(failure instanceof TaskError) || context.signal.aborted) return failure;
  const named = /sops:\/\/environments\/[^/]+\/secrets\/([^#\s]+)#\/([^\s:]+):/.exec(failure.why ?? '');
  if (named === null) return failure;
  const [, file = '', key = ''] = named;
  // What opens here is neither damaged nor closed: then the program itself has failed.
  return decryptValue(context, file, key).then(
    () => failure,
    (error: unknown) => error,
  );
}
