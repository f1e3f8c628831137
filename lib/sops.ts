import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, exportHomes, shellOf } from './environment.ts';
import { root } from './project.ts';
import { type TaskContext, TaskError } from './runner/runner.ts';
import { isTime, leavesOf, secretNames, secretsFile } from './sops/encrypted-file.ts';
import { howToRestore } from './sops/how-to-restore.ts';
import { fingerprintsOf, importPublicKeys, keySource, plainReading } from './sops/operational-key.ts';

/** The plain commands of `importKeys`, for `--dry-run`. */
export const importCommands = async (environment: Environment): Promise<readonly string[]> => [
  exportHomes(environment, 'GNUPGHOME'),
  'mkdir -p -m 700 "$GNUPGHOME"',
  plainReading(await keySource(environment), 'gpg --batch --import'),
  'gpg --batch --import sops/*.public.asc',
];

async function ensureHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const found = await lstat(home);
  const ours = process.getuid === undefined || found.uid === process.getuid();
  if (found.isDirectory() && ours && (found.mode & 0o077) === 0) return;
  throw new TaskError({
    what: `${home} cannot hold a keyring`,
    why: 'it is not a folder that only you can read',
    advice: `remove it (\`rm -r ${home}\`) and run again`,
  });
}

/**
 * Imports the operational key into the environment's own keyring. Returns whether it had to. gpg-agent, which gpg leaves
 * running for each keyring, is ended with the run.
 */
export async function importKeys(
  environment: Environment,
  context: TaskContext,
): Promise<'changed' | 'unchanged'> {
  const $ = await shellOf(context);
  const home = environment.gnupgHome;
  await ensureHome(home);
  context.onRunEnd(() => stopAgent(environment, context));
  const source = await keySource(environment);
  const [fingerprint] = await fingerprintsOf(source, context);
  const known = await $({
    quiet: true,
    nothrow: true,
  })`gpg --batch --homedir ${home} --list-secret-keys ${fingerprint}`;
  if (known.exitCode === 0) return 'unchanged';
  const load = ['--batch', '--homedir', home, '--import'];
  if (source.kind === 'file') await $({ quiet: true })`gpg ${load} ${source.path}`;
  else await $({ quiet: true, input: `${source.text}\n` })`gpg ${load}`;
  await importPublicKeys(environment, context);
  return 'changed';
}

/** Ends the keyring's gpg-agent; nothing happens when there is none. */
export async function stopAgent(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<void> {
  const sockets = await readdir(environment.gnupgHome).catch(() => []);
  if (!sockets.some((name) => name.startsWith('S.gpg-agent'))) return;
  const $ = await shellOf(context);
  await $({ quiet: true, nothrow: true })`gpgconf --homedir ${environment.gnupgHome} --kill all`;
}

/** Ends the agent and removes a keyring that had to lie outside the state folder. */
export async function removeKeyring(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<void> {
  await stopAgent(environment, context);
  await rm(environment.gnupgHome, { recursive: true, force: true });
}

/**
 * One value of an encrypted file under `environments/<environment>/secrets/`, exactly as vals (in helmfile) reads it. It is redacted from everything that
 * the run writes. Throws `TaskError` when the file is damaged, no key of the keyring fits, or the value is not a text.
 */
export async function decryptValue(
  environment: Environment,
  secrets: string,
  key: string,
  context: TaskContext,
): Promise<string> {
  const $ = await shellOf(context);
  const file = secretsFile(environment.name, secrets);
  const result = await $({
    quiet: true,
    nothrow: true,
  })`sops decrypt --output-type json ${join(root, file)}`;
  if (result.exitCode !== 0) throw await explainSops(file, key, result.stderr);
  // JSON tells a text from all else, and keeps a line break at its end; `--extract` does neither.
  const values = valuesOf(result.stdout, file);
  if (!Object.hasOwn(values, key)) {
    throw new TaskError({
      what: `${file} has no value \`${key}\``,
      why: 'its first level has no such key',
      advice: `add it: sops edit ${file}`,
    });
  }
  const value = values[key];
  if (typeof value === 'string') context.secret(value);
  if (typeof value === 'string' && !(await isTime(file, key))) return value;
  throw new TaskError({
    what: `the value \`${key}\` of ${file} is not a text`,
    why: 'without quotes YAML took it for a number, a boolean, a date or a map, and what was typed is lost',
    advice: `write it in quotes: sops edit ${file}`,
  });
}

/** What sops printed as JSON. Its text is not shown: it holds secrets. */
function valuesOf(json: string, file: string): { readonly [name: string]: unknown } {
  try {
    return JSON.parse(json);
  } catch {
    throw new TaskError({
      what: `sops did not print the values of ${file}`,
      why: 'it ended well, and its answer is not JSON',
      advice: 'check which sops is used: verify-dependencies',
    });
  }
}

/**
 * Replaces one value of an encrypted file. It goes to sops by stdin; the file's keys stay as they are. Throws `TaskError` as
 * `decryptValue` does.
 */
export async function encryptValue(
  environment: Environment,
  secrets: string,
  key: string,
  value: string,
  context: TaskContext,
): Promise<void> {
  context.secret(value);
  const $ = await shellOf(context);
  const file = secretsFile(environment.name, secrets);
  const result = await $({
    quiet: true,
    nothrow: true,
    input: JSON.stringify(value),
  })`sops set --value-stdin ${join(root, file)} ${`["${key}"]`}`;
  if (result.exitCode === 0) return;
  if (/flag provided but not defined/.test(result.stderr)) {
    throw new TaskError({
      what: 'this sops cannot set a value that comes by stdin',
      why: 'it is older than 3.11, and a value among its arguments would be seen by everybody on this machine',
      advice: 'put sops 3.11 or newer on the PATH, or none: then `install-tools` gets it',
    });
  }
  throw await explainSops(file, key, result.stderr);
}

/**
 * From now on no value of the environment's secrets shows in what the run writes: for programs that read the files by themselves
 * and, asked for details, tell what they have read. A file that cannot be opened is left to them to complain about.
 */
export async function redactSecrets(environment: Environment, context: TaskContext): Promise<void> {
  const $ = await shellOf(context);
  for (const name of await secretNames(environment.name)) {
    const file = join(root, secretsFile(environment.name, name));
    const opened = await $({ quiet: true, nothrow: true })`sops decrypt --output-type json ${file}`;
    if (opened.exitCode !== 0) continue;
    for (const { value } of leavesOf(JSON.parse(opened.stdout))) {
      if (typeof value === 'string' && value !== '') context.secret(value);
    }
  }
}

/** What SOPS meant, in words of ours: its own message is some twenty lines. */
export async function explainSops(file: string, key: string, stderr: string): Promise<TaskError> {
  const restore = await howToRestore(file);
  if (/non-existent file/.test(stderr)) {
    return new TaskError({
      what: `${file} is not there`,
      why: 'every environment has secrets of its own',
      advice: `\`make-secrets\` makes it with random values; one that was committed: ${restore}`,
    });
  }
  if (/component \[.*\] not found/.test(stderr)) {
    return new TaskError({
      what: `${file} has no value \`${key}\``,
      why: lastLine(stderr),
      advice: `${restore}, or add it: sops edit ${file}`,
    });
  }
  if (hasNoKey(stderr)) {
    return new TaskError({
      what: `no key in the keyring opens ${file}`,
      why: 'it is encrypted for other keys than the operational one',
      advice: `${restore}; name its key (sops/README.md); or ask who has one for: sops updatekeys ${file}`,
    });
  }
  const why = brokenPart(stderr) ?? lastLine(stderr);
  return new TaskError({ what: `${file} is damaged`, why, advice: restore });
}

// Where the part for one key is damaged, those for the others are still well and only have no key here.
const brokenPart = (stderr: string): string | undefined =>
  /gpg: (?:CRC error|no valid|invalid|.*(?:armor|packet|malformed|bad))/i.exec(stderr)?.[0];

/** Whether SOPS failed for want of a key, and not because the file is damaged. */
export const hasNoKey = (stderr: string): boolean =>
  /get the data key/.test(stderr) && brokenPart(stderr) === undefined;

/**
 * What stands behind the failure of a command that reads encrypted files by itself (helmfile). Returns an error that names
 * the file, or the failure itself when it is about something else.
 */
export async function secretFailure(
  failure: unknown,
  environment: Environment,
  context: TaskContext,
): Promise<unknown> {
  if (!(failure instanceof TaskError) || context.signal.aborted) return failure;
  const named = /sops:\/\/environments\/[^/]+\/secrets\/([^#\s]+)#\/([^\s:]+): *(.*)/.exec(failure.why ?? '');
  if (named === null) return failure;
  const [, file = '', key = '', reason = ''] = named;
  const opened = await decryptValue(environment, file, key, context).catch((error: unknown) => error);
  return opened instanceof TaskError ? opened : explainSops(secretsFile(environment.name, file), key, reason);
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';
