import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWords } from '../ground/shell-words.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import { encrypt, encryption } from '../secrets/encrypt.ts';
import { parseEncrypted, secretsFile } from '../secrets/encrypted-file.ts';
import { readSopsFailure, type SopsFailure } from '../secrets/explain.ts';
import { isShared, vaultKeysFile } from '../secrets/shared-file.ts';
import { type SecretContext, sopsShell } from '../secrets/shell.ts';
import type { Context, EnvironmentContext, ShellContext } from '../settings/context.ts';
import { runFolder, writeWhole } from '../settings/environment.ts';
import { reasonOf, toolFailure } from '../tools/tool-answer.ts';
import { objectOf, type VaultClient } from '../vault/api/client.ts';
import { activeOf } from '../vault/api/init.ts';
import { parseKeys, textsOfKeys, type VaultKeys } from '../vault/api/keys-file.ts';
import { requireKeys, sealStatus } from '../vault/api/replica.ts';
import { restoreSnapshot, saveSnapshot } from '../vault/api/snapshot.ts';
import { unreadable, type VaultError } from '../vault/api/vault-error.ts';
import { writtenPath } from '../vault/desired.ts';
import { answerMs, initVault, withAnsweringReplicas } from '../vault/init-vault.ts';
import { keysFileName, keysPlace } from '../vault/keys-place.ts';
import { checksumOf, existingPlace, newPlace, wholeFolder } from './place.ts';

const snapshotName = 'raft.snap';
const snapshotFile = (folder: string): string => join(folder, snapshotName);

/** The folder of a backup. Throws `UsageError` if there is none. */
export const vaultBackup = (named: string): Promise<string> => existingPlace(named, snapshotName);

/**
 * Saves a snapshot of Vault into a new folder, and the keys that open it, encrypted. Throws `TaskError` if Vault has no
 * snapshots or is sealed, and leaves nothing behind.
 */
export async function backupVault(context: EnvironmentContext, named: string | undefined): Promise<void> {
  const { environment, signal } = context;
  const place = newPlace(environment, 'vault', named);
  await withAnsweringReplicas(context, answerMs, async (replicas) => {
    const states = await Promise.all(replicas.map(({ client }) => sealStatus(client)));
    if (states.every(({ sealed }) => sealed)) {
      throw new TaskError({
        what: `Vault of environment \`${environment.name}\` is sealed or new`,
        why: 'only an open Vault gives a snapshot',
        advice: `run ${taskCommand('init-vault')} first`,
      });
    }
    const client = await activeOf({ replicas, signal });
    const keys = await requireKeys(client, keysPlace(context));
    const token = await backupToken(context, client);
    await wholeFolder(place, async (folder) => {
      const file = snapshotFile(folder);
      await saveSnapshot(client.withToken(token), file, signal);
      await checkSnapshot(context, file);
      if (keys.unseal_keys_b64.length > 0 || keys.recovery_keys_b64 !== undefined)
        await writeKeys(context, folder, keys);
      else
        context.log(
          "Vault's keys are kept elsewhere: keep them as long as this backup, which only they open",
        );
    });
  });
  context.print(place);
}

/**
 * Replaces everything in Vault by a backup, opens it with the keys of that time, and brings it to the desired state.
 * Throws `TaskError` before any change if the backup is damaged or cannot be opened.
 */
export async function restoreVault(context: Context, named: string): Promise<void> {
  const { environment, signal } = context;
  const folder = await vaultBackup(named);
  const file = snapshotFile(folder);
  await checkSnapshot(context, file);
  const keys = await readStoredKeys(context, folder);
  const late = await withAnsweringReplicas(context, answerMs, async (replicas, absent) => {
    // What the snapshot's Vault was given may be older, such as a password.
    await rm(writtenPath(environment), { force: true });
    const input = { replicas, absent, keysPlace: keysPlace(context), file, keys, signal };
    const restored = await restoreSnapshot(input);
    if (restored.others)
      context.log(
        `its keys are now in ${keysFileName(environment)}${isShared(environment) ? ': commit it' : ''}`,
      );
    return restored.late;
  });
  if (late.length > 0) {
    context.log(`restarting ${late.join(', ')}, which did not take part`);
    await context.$({ quiet: true })`${kubectl(environment)} -n vault delete pod ${late} --wait=false`;
  }
  await initVault(context);
  context.report('changed');
}

/** ServiceAccount of the chart devops, and its role in vault/state.yaml, which may do nothing else. */
const account = 'vault-backup';

/** kubectl's words that print a token with which the ServiceAccount logs in to Vault. */
export const accountTokenWords: readonly string[] = [
  ...['-n', 'vault', 'create', 'token', account, '--audience', 'vault', '--duration', '10m'],
];

/** Vault's path and role of that login. */
export const backupLogin = { path: 'auth/kubernetes/login', role: account } as const;

/** A token that may only read snapshots. */
async function backupToken(context: EnvironmentContext, client: VaultClient): Promise<string> {
  const { $, environment } = context;
  const { stdout } = await $({ quiet: true })`${kubectl(environment)} ${accountTokenWords}`;
  const jwt = stdout.trim();
  context.secret(jwt);
  const { path, role } = backupLogin;
  const { body } = await client
    .request('POST', path, { body: { role, jwt }, secrets: [jwt] })
    .catch((error: VaultError) => {
      throw new TaskError({
        what: 'Vault does not let backups log in',
        why: error.why,
        advice: `run ${taskCommand('init-vault')}, which creates the role ${role}`,
        cause: error,
      });
    });
  const token = objectOf(body.auth)?.client_token;
  if (typeof token !== 'string') throw unreadable(client.address, `POST ${path}`, 'it has no token');
  context.secret(token);
  return token;
}

/** What tar and gzip say of an archive, of GNU and BSD. */
const cutOff =
  /unexpected e|truncated|not in gzip|crc error|invalid compressed|not look like|unrecognized archive/i;

/** Throws `TaskError` unless the snapshot is whole: an archive with the checksums of its parts. */
export async function checkSnapshot(context: ShellContext, file: string): Promise<void> {
  const { environment } = context;
  const damaged = (why: string) =>
    new TaskError({
      what: `${file} is no whole snapshot of Vault`,
      why,
      advice: 'use another one; nothing was changed',
    });
  const folder = await mkdtemp(join(await runFolder(environment.state), 'snapshot-'));
  try {
    const unpacked = await (await sopsShell(context))`tar -xzf ${file} -C ${folder}`;
    if (unpacked.exitCode !== 0)
      throw cutOff.test(unpacked.stderr)
        ? damaged('it is incomplete, or no snapshot at all')
        : toolFailure(`tar -xzf ${file}`, unpacked);
    const sums = await textIfThere(join(folder, 'SHA256SUMS'));
    if (sums === undefined) throw damaged('it has no list of checksums');
    const lines = [...sums.matchAll(/^([0-9a-f]{64}) [ *](\w[\w.-]*)$/gm)];
    if (!lines.some(([, , name]) => name === 'state.bin'))
      throw damaged('its list of checksums is incomplete');
    for (const [, sum, name = ''] of lines)
      if ((await checksumOf(join(folder, name))) !== sum)
        throw damaged(`the checksum of ${name} is another one`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The keys that open a snapshot, beside it. */
const keysFile = (folder: string): string => join(folder, 'keys.yaml');

/** A file for which `.sops.yaml` has the environment's rule. */
const ruleFile = (environment: string): string => secretsFile(environment, vaultKeysFile);

/** sops' words to encrypt keys from stdin. */
export const encryptionWords = (environment: string): readonly string[] => [
  ...['sops', ...encryption(ruleFile(environment)), '/dev/stdin'],
];

/** Writes the keys beside a snapshot, encrypted for the same keys as the environment's secrets, without any token. */
export async function writeKeys(context: SecretContext, folder: string, keys: VaultKeys): Promise<void> {
  const { unseal_keys_b64, recovery_keys_b64 } = keys;
  const content = { unseal_keys_b64, recovery_keys_b64 };
  await writeWhole(keysFile(folder), await encrypt(context, ruleFile(context.environment.name), content));
}

/** The keys beside a snapshot; undefined if there are none. Throws `TaskError` if no key of the keyring opens them. */
export async function readStoredKeys(context: SecretContext, folder: string): Promise<VaultKeys | undefined> {
  const file = keysFile(folder);
  const text = await textIfThere(file);
  if (text === undefined) return undefined;
  const found = await parseEncrypted(text);
  if (found?.isPlain) {
    throw new TaskError({
      what: `${file} is not encrypted`,
      why: 'it has no metadata of SOPS',
      advice: `nothing was changed; encrypt it: ${shellWords(['sops', ...encryption(ruleFile(context.environment.name)), '--in-place', file])}`,
    });
  }
  const $ = await sopsShell(context);
  const opened = await $`sops decrypt --output-type json ${file}`;
  const keys = opened.exitCode === 0 ? parseKeys(opened.stdout) : undefined;
  if (keys === undefined) {
    const failure: SopsFailure =
      opened.exitCode === 0 ? { kind: 'damaged', why: 'it holds no keys of Vault' } : readSopsFailure(opened);
    const [why, advice] =
      failure.kind === 'no key'
        ? [
            `it is encrypted for other keys than yours: ${found?.recipients.join(', ')}`,
            'name the file of such a key in SOPS_PGP_KEY_FILE: the backup key, or the operational key from before `rotate-keys` (docs/restore.md)',
          ]
        : [
            ('why' in failure && failure.why) || reasonOf(opened),
            `nothing was changed; ${failure.kind === 'damaged' ? 'take it from another copy of the backup' : 'run it again'}`,
          ];
    throw new TaskError({ what: `${file} cannot be decrypted`, why, advice });
  }
  for (const text of textsOfKeys(keys)) context.secret(text);
  return keys;
}
