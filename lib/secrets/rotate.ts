import { copyFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { quote, type Shell, TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { eachAfter } from '../ground/shell-words.ts';
import type { Context, Target } from '../settings/context.ts';
import { exportHomes } from '../settings/environment.ts';
import { developmentKeysFile } from './development-keys.ts';
import { allSecretFiles, notEncrypted, parseEncrypted, readEncrypted } from './encrypted-file.ts';
import { explainEncryption, explainSops } from './explain.ts';
import { howToRestore, readNeeded } from './how-to-restore.ts';
import { importPublicKeys } from './keyring.ts';
import {
  forgetKey,
  forgetUnfinished,
  generate,
  type KeyPlace,
  keyPlace,
  newKeyFile,
  parametersFile,
  stageKey,
} from './new-key.ts';
import { giveKey, keySource, plainReading, plainWriting, readKey } from './operational-key.ts';
import { creationRules, isAmong, ruleFor, rulesFile } from './recipients.ts';
import { sopsShell } from './shell.ts';
import {
  changedSince,
  digestsOf,
  isSealed,
  putInPlace,
  readSealed,
  readStaged,
  sealStaged,
  stage,
  stagingFolder,
} from './staged-files.ts';

/** The plain commands of `rotateKeys`, for `--dry-run`. */
export async function rotateKeysCommands(target: Target, keyFile: string | undefined) {
  const { root } = target.environment;
  const place = await keyPlace(target, keyFile);
  const show = plainReading(root, keySource(target), 'gpg --batch --with-colons --show-keys');
  const files = await allSecretFiles(root);
  // Of a key and its parts.
  const fingerprints = (line: string): string => `sed -n 's/^fpr:*\\([0-9A-F]*\\):$/${line}/p'`;
  return [
    exportHomes(target.environment, 'GNUPGHOME'),
    `old=$(${show} | ${fingerprints('\\1')} | head -n 1)`,
    eachAfter([
      `new=$(gpg --batch --status-fd 1 --generate-key ${parametersFile} | sed -n 's/.*KEY_CREATED B \\([0-9A-F]*\\).*/\\1/p')`,
      '[ -n "$new" ]',
      `sed -i.old "s/$old/$new/" ${rulesFile} && rm ${rulesFile}.old`,
      ...files
        .map(quote)
        .flatMap((file) => [`sops updatekeys --yes ${file}`, `sops rotate --in-place ${file}`]),
      ...(place.former === undefined ? [] : [`cp -p ${quote(place.file)} ${quote(place.file)}."$old"`]),
      plainWriting(root, resolve(root, place.file), 'gpg --batch --armor --export-secret-keys "$new"'),
      `gpg --batch --armor --export "$new" > ${place.publicFile}`,
      ...(place.kind === 'development'
        ? [
            `gpg --batch --with-colons --list-keys "$new" | ${fingerprints('- \\1 # operational')} >> ${developmentKeysFile}`,
          ]
        : []),
      'gpg --batch --yes --delete-secret-and-public-key "$old"',
    ]),
  ];
}

/**
 * Creates an operational key and re-encrypts all files that the old one opens for it, with new data keys; other
 * recipients stay. Prepares and checks the new files beside the old ones and replaces them at the end. If a run is
 * killed while replacing them, the next one finishes.
 */
export async function rotateKeys(context: Context, keyFile: string | undefined): Promise<void> {
  const { root } = context.environment;
  if (await isSealed(root)) {
    const since = await changedSince(root, await allSecretFiles(root));
    if (since.isBegun || since.changed.length === 0)
      return finish(context, since, ['the interrupted rotation is finished']);
    const changed = since.changed.join(' ');
    context.log(`the interrupted rotation begins again, as there were changes since: ${changed}`);
  }
  await forgetUnfinished(context);
  const place = await keyPlace(context, keyFile);
  const old = (await readKey(keySource(context), context)).parts.map(({ fingerprint }) => fingerprint);
  const files = await filesFor(old, context);
  await importPublicKeys(context);
  // The private half first, so that nothing is encrypted for a key that could be lost.
  const known = place.kind === 'development' ? [developmentKeysFile] : [];
  const before = await digestsOf(root, [place.file, place.publicFile, ...known, ...files, rulesFile]);
  // Runs after a signal too, when the task itself can start nothing.
  context.onRunEnd(async () => {
    if (!(await isSealed(root))) await forgetUnfinished(context);
  });

  const fresh = await generate(context, place);
  await stage(root, rulesFile, await newRules(root, old[0] ?? '', fresh));
  await stageKey(context, place, fresh);
  const $ = await sopsShell(context);
  for (const file of files) await reencrypt($, root, file, old, fresh);

  const former = place.former?.(old[0] ?? '');
  if (former !== undefined) await copyFile(place.file, former);
  await sealStaged(root, before);
  // Other tasks may have written one meanwhile, such as init-vault in another environment.
  const since = await changedSince(root, await allSecretFiles(root));
  await finish(context, since, news(place, fresh, files, former));
}

type Since = Awaited<ReturnType<typeof changedSince>>;

/** Puts in place what was prepared, by a killed run, too, with changed secrets files as they are now. Prints `said`. */
async function finish(context: Context, since: Since, said: readonly string[]): Promise<void> {
  const { root } = context.environment;
  const recipientsOf = async (folder: string) =>
    (await creationRules(folder)).flatMap(({ recipients }) => recipients);
  const now = await recipientsOf(stagingFolder(root));
  const old = (await recipientsOf(root)).filter((recipient) => !now.includes(recipient));
  if (since.changed.length > 0) await stageAgain(context, since, old);
  const replaced = await putInPlace(root);
  for (const fingerprint of old) await forgetKey(context, fingerprint);
  context.report('changed');
  const lines = [
    ...said,
    `earlier backups of Vault open only with the old key or the backup key: keep one, or back up Vault again: ${taskCommand('backup-vault')}`,
    // The rules, the public half and the encrypted files only work together.
    `commit these together: ${replaced.join(' ')}`,
  ];
  context.print(lines.join('\n'));
}

async function stageAgain(context: Context, { changed, isBegun }: Since, old: readonly string[]) {
  const { root } = context.environment;
  const other = changed.find((file) => !file.startsWith('environments/'));
  if (other !== undefined)
    throw new TaskError({
      what: `the rotation cannot be finished: ${other} was changed since it began`,
      why: `other files are${isBegun ? ' already' : ' to be'} for the new key, and need the new version of this one`,
      advice: isBegun ? `${await howToRestore(root, other)}. Then run again` : 'run again',
    });
  const fresh = await readStaged(root, newKeyFile);
  await importPublicKeys(context);
  const others = (await readSealed(root)).filter(([file]) => !changed.includes(file));
  // Without them until they are re-encrypted: if this run is killed, too, they count as added.
  await sealStaged(root, others);
  const present = (await allSecretFiles(root)).filter((file) => changed.includes(file));
  const again = [];
  const $ = await sopsShell(context);
  for (const secrets of await digestsOf(root, present)) {
    const [file] = secrets;
    const { recipients } = await readEncrypted(root, file);
    if (!recipients.some((recipient) => isAmong([...old, fresh], recipient))) continue;
    await reencrypt($, root, file, old, fresh);
    again.push(secrets);
  }
  await sealStaged(root, [...others.slice(0, 1), ...again, ...others.slice(1)]);
}

const news = ({ kind, name }: KeyPlace, fresh: string, files: readonly string[], former?: string) => [
  `the operational key is now ${fresh}`,
  ...files.map((file) => `encrypted for it: ${file}`),
  ...(kind === 'own'
    ? [`its private half is in ${name}: keep it safe and out of git; to deploy, ${giveKey}`]
    : []),
  ...(former === undefined ? [] : [`the former one is kept in ${former}: earlier commits open only with it`]),
  'owners of the old key can still read the old values in the git history: change the values too',
];

/** The files that the old key opens. Logs and skips those encrypted for other keys. */
async function filesFor(old: readonly string[], context: Context): Promise<string[]> {
  const { root } = context.environment;
  const files: string[] = [];
  for (const file of await allSecretFiles(root)) {
    const { recipients } = await readEncrypted(root, file);
    if (recipients.some((fingerprint) => isAmong(old, fingerprint))) files.push(file);
    else if (recipients.length > 0) context.log(`unchanged, since it is encrypted for other keys: ${file}`);
    else throw notEncrypted(file);
  }
  if (files.length > 0) return files;
  throw new TaskError({
    what: 'no secrets file is encrypted for the operational key',
    why: `that is ${old[0]}`,
    advice: 'use the key that opens them: sops/README.md',
  });
}

/** .sops.yaml with the new fingerprint and otherwise unchanged, comments included. */
async function newRules(root: string, old: string, fresh: string): Promise<string> {
  const text = await readNeeded(root, rulesFile);
  const changed = text.replaceAll(new RegExp(old, 'gi'), fresh);
  if (changed !== text) return changed;
  throw new TaskError({
    what: `${rulesFile} does not name the operational key`,
    why: `that is ${old}`,
    advice: 'write its whole fingerprint, without blanks, into the rule',
  });
}

/** Re-encrypts a staged copy and checks its values and keys. */
async function reencrypt($: Shell, root: string, file: string, old: readonly string[], fresh: string) {
  const inStaging = $({ cwd: stagingFolder(root) });
  const decrypt = async (shell: Shell): Promise<string> => {
    const opened = await shell`sops decrypt ${file}`;
    if (opened.exitCode !== 0) throw await explainSops(root, file, opened);
    return opened.stdout;
  };
  const before = await decrypt($);
  await stage(root, file, await readFile(join(root, file), 'utf8'));
  for (const words of [
    ['updatekeys', '--yes'],
    ['rotate', '--in-place'],
  ]) {
    const ended = await inStaging`sops ${words} ${file}`;
    if (ended.exitCode === 0) continue;
    throw await explainEncryption($, root, file, ended, old);
  }
  const after = await decrypt(inStaging);
  const { recipients = [], plain } = (await parseEncrypted(await readStaged(root, file))) ?? {};
  const rule = ruleFor(await creationRules(root), file);
  const wanted = rule?.recipients.map((fingerprint) => (isAmong(old, fingerprint) ? fresh : fingerprint));
  const same = after === before && plain?.length === 0;
  if (same && [...recipients].sort().join() === [...(wanted ?? [])].sort().join()) return;
  throw new TaskError({
    what: `${file} was re-encrypted wrongly; nothing was changed`,
    why: same ? `it is encrypted for ${recipients.join(', ')}` : 'its values differ, or are not encrypted',
    advice: `check the rule for it in ${rulesFile}`,
  });
}
