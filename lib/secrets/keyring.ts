import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandOutput, quote, TaskError } from '@k8s-deployment/runner';
import { namesEnding } from '../ground/file-names.ts';
import { taskCommand } from '../ground/launcher.ts';
import { poll } from '../ground/poll.ts';
import type { Context, EnvironmentContext, Outcome, ShellContext, Target } from '../settings/context.ts';
import { exportHomes, removeRunFolders, runFolder } from '../settings/environment.ts';
import { noAnswer, toolFailure } from '../tools/tool-answer.ts';
import { encryptionProblem } from './key-parts.ts';
import {
  checkPrivateHalf,
  gpgReading,
  isGiven,
  keySource,
  plainReading,
  readKey,
} from './operational-key.ts';
import { keyKinds } from './recipients.ts';
import { sopsShell } from './shell.ts';

/** The plain commands of `importKeys`, for `--dry-run`. */
export const importCommands = (target: Target): readonly string[] => [
  exportHomes(target.environment, 'GNUPGHOME'),
  'mkdir -p -m 700 "$GNUPGHOME"',
  plainReading(target.environment.root, keySource(target), 'gpg --batch --import'),
  'gpg --batch --import sops/*.public.asc',
];

/** Creates a keyring's folder, for the user only. Throws `TaskError` if others own it or can write to it. */
export async function ensureHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const found = await lstat(home);
  const ours = process.getuid === undefined || found.uid === process.getuid();
  if (found.isDirectory() && ours && (found.mode & 0o022) === 0) return chmod(home, 0o700);
  throw new TaskError({
    what: `${home} cannot hold a keyring`,
    why: 'it is not a folder that only you can write to',
    advice: `check what is in it; keep it with \`chmod 700 ${quote(home)}\`, or move it away; then run again`,
  });
}

/**
 * Imports the operational key and all public halves into the environment's keyring. Returns whether the keyring
 * changed. With age or a key of a service, sops finds the key itself, and no OpenPGP key has to be given. gpg leaves an
 * agent running, which is stopped when the run ends.
 */
export async function importKeys(context: Context): Promise<Outcome> {
  const { name, root, gnupgHome: home } = context.environment;
  for (const line of (process.env.SOPS_AGE_KEY ?? '').split('\n'))
    if (line.startsWith('AGE-SECRET-KEY')) context.secret(line.trim());
  await ensureHome(home);
  await stopAgentAtEnd(context);
  const { openPgp, others } = await keyKinds(root, name);
  if (others && !(await isGiven(keySource(context))))
    return openPgp && (await importPublicKeys(context)) ? 'changed' : 'unchanged';
  const key = await readKey(keySource(context), context);
  await checkPrivateHalf(key, context);
  // Even if the key is known: the keyring may lack a part of it or its new expiry.
  const loaded = await gpgReading(key.source, context, ['--homedir', home, ...importing]);
  const own = importChanged(`gpg --import ${key.source.name}`, loaded);
  const open = await importPublicKeys(context);
  if (!own && !open) return 'unchanged';
  const problem = encryptionProblem(key);
  if (problem !== undefined) {
    context.log(
      `warning: ${key.source.name}: ${problem}; it decrypts files, but nothing can be encrypted for it: ${taskCommand('rotate-keys')} replaces it`,
    );
  }
  return 'changed';
}

/** Imports the public half of every key that files are encrypted for. Returns whether the keyring changed. */
export async function importPublicKeys(context: ShellContext): Promise<boolean> {
  const { root, gnupgHome } = context.environment;
  const $ = await sopsShell(context);
  const names = namesEnding('sops', await readdir(join(root, 'sops')), '.public.asc');
  const files = names.map((name) => `sops/${name}`);
  if (files.length === 0) return false;
  const loaded = await $`gpg --batch --homedir ${gnupgHome} ${importing} ${files}`;
  return importChanged(`gpg --import ${files.join(' ')}`, loaded);
}

const importing = ['--status-fd', '1', '--import'];

/** True if an import changed the keyring, according to its counts (GnuPG: doc/DETAILS, "IMPORT_RES"). */
function importChanged(command: string, output: CommandOutput): boolean {
  if (output.exitCode !== 0) throw toolFailure(command, output);
  const counts = /^\[GNUPG:\] IMPORT_RES ([\d ]+)/m.exec(output.stdout)?.[1]?.split(' ').map(Number);
  if (counts === undefined) throw noAnswer(command);
  const [, , imported, , , users, parts, signatures, revocations, , privateHalves] = counts;
  return [imported, users, parts, signatures, revocations, privateHalves].some((count) => count !== 0);
}

/** Stops the keyring's gpg-agent at the end of the run, unless another run uses it, which then does. */
async function stopAgentAtEnd(context: EnvironmentContext): Promise<void> {
  const { gnupgHome } = context.environment;
  // The folder of a run in the keyring says that it uses the agent.
  await runFolder(gnupgHome, (leave) =>
    context.onRunEnd(async (outcome) => {
      await leave(outcome);
      if ((await removeRunFolders(gnupgHome)) === 0) await stopAgent(context);
    }),
  );
}

/** Stops the keyring's gpg-agent, if it is running. */
export async function stopAgent({ $, environment: { gnupgHome } }: ShellContext): Promise<void> {
  const isGone = async (): Promise<true | undefined> => {
    const names = await readdir(gnupgHome).catch(() => []);
    return names.some((name) => name.startsWith('S.gpg-agent')) ? undefined : true;
  };
  if (await isGone()) return;
  await $({ quiet: true, nothrow: true })`gpgconf --homedir ${gnupgHome} --kill all`;
  // It ends a moment later, without an answer for whom it has let in until then.
  await poll(isGone, 1000);
}

/** Stops the agent and removes the keyring, which may be outside the state folder. */
export async function removeKeyring(context: ShellContext): Promise<void> {
  await stopAgent(context);
  await rm(context.environment.gnupgHome, { recursive: true, force: true });
}
