import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { didYouMean, TaskError, UsageError } from '@k8s-deployment/runner';
import { decryptPassword, type LoginRole, loginRoles } from '../database/roles.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import { leavesOf } from '../ground/tree.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import { importPublicKeys } from '../secrets/keyring.ts';
import { decryptFile, decryptValue } from '../secrets/sops.ts';
import type { Context, Environment, InEnvironment, Target } from '../settings/context.ts';
import { exportHomes, processEnvironment } from '../settings/environment.ts';
import { type SecretKey, secretKey } from '../settings/secret-reference.ts';
import { signalOf } from '../tools/tool-answer.ts';
import { loadDesiredState } from '../vault/api/state.ts';

/**
 * Path of the file to edit: the named one (its folder and `.yaml` may be left out), the only one, or database.yaml.
 * Throws `UsageError` if it does not exist; for a dry run only if it is named.
 */
async function fileToEdit(
  { environment }: InEnvironment,
  named: string | undefined,
  isDryRun = false,
): Promise<string> {
  const { name } = environment;
  const names = await secretNames(environment);
  const only = names.length === 1 ? names[0] : undefined;
  const inFolder = named?.replace(secretsFile(name, ''), '');
  const file = inFolder?.replace(/(\.yaml)?$/, '.yaml') ?? only ?? 'database.yaml';
  if (names.includes(file) || (isDryRun && named === undefined)) return secretsFile(name, file);
  throw new UsageError({
    what: `environment \`${name}\` has no secrets file \`${file}\``,
    why: names.length === 0 ? `environments/${name}/secrets is empty` : `it has ${names.join(', ')}`,
    advice: didYouMean(
      file,
      names,
      `${taskCommand('make-secrets')} creates those that the settings name, with random values`,
    ),
  });
}

/** Throws `UsageError` if the file, or a terminal for the editor, is missing. */
export async function checkEdit(context: InEnvironment, named: string | undefined): Promise<void> {
  const file = await fileToEdit(context, named);
  if (process.stdin.isTTY && process.stdout.isTTY) return;
  const set = `sops set --value-stdin ${shellWord(file)} '["key"]'`;
  throw new UsageError({
    what: 'an editor needs a terminal',
    why: 'stdin or stdout is a file or a pipe',
    advice: `without a terminal: ${set} in the shell of ${taskCommand('env')}, with the value as JSON on stdin`,
  });
}

const folderOf = ({ state }: Environment): string => join(state, 'edit');

/** The plain commands, for `--dry-run`. */
export async function editCommands(context: InEnvironment, named: string | undefined): Promise<string[]> {
  const { environment } = context;
  const path = await fileToEdit(context, named, true);
  const folder = `.state/${environment.name}/edit`;
  return [
    exportHomes(environment, 'GNUPGHOME'),
    `mkdir -p -m 700 ${folder}`,
    `TMPDIR=${shellWord(folderOf(environment))} EDITOR="\${VISUAL:-$EDITOR}" sops edit ${shellWord(path)}`,
    `rm -rf ${folder}`,
  ];
}

/** Exit codes of sops: the text was closed unchanged, the editor failed, the text is gone. */
const unchangedCode = 200;
const editorFailedCode = 201;
const textGoneCode = 2;

/**
 * Opens an encrypted file in the user's editor. The decrypted text is in a private folder of the state, which is
 * removed with everything that the editor or a killed run left in it.
 */
export async function editSecrets(context: Context, named: string | undefined): Promise<void> {
  const { $, environment } = context;
  const file = await fileToEdit(context, named);
  await importPublicKeys(context);
  const folder = folderOf(environment);
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  await removeFolder();
  context.onRunEnd(removeFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Without one, sops tries vim, nano and vi.
  const chosen = process.env.SOPS_EDITOR || process.env.VISUAL || process.env.EDITOR || '';
  const path = join(environment.root, file);
  // First, to explain a problem with the file or its key.
  const values = await decryptFile(context, file);
  const before = await readFile(path, 'utf8');
  const own = { ...(await processEnvironment(environment)), TMPDIR: folder };
  const env = chosen === '' ? own : { ...own, EDITOR: chosen };
  const edited = await $({ nothrow: true, env })`sops edit ${file}`;
  await removeFolder();
  if (edited.exitCode === unchangedCode) {
    context.print(`${file} was not changed`);
    return context.report('unchanged');
  }
  if (edited.exitCode !== 0) {
    const untouched = (await readFile(path, 'utf8')) === before;
    const isGone = edited.exitCode === textGoneCode;
    const byEditor = isGone || edited.exitCode === editorFailedCode;
    const why = isGone ? 'it removed the text' : `sops ended with ${signalOf(edited) ?? edited.exitCode}`;
    throw new TaskError({
      what: byEditor ? 'the editor failed' : `sops could not write ${file}`,
      why: `${why}${untouched ? `; ${file} was not changed` : ''}`,
      advice: !byEditor
        ? 'run again; if sops names an error in the text, Enter returns to the editor, with the text'
        : chosen === ''
          ? 'name your editor in VISUAL or EDITOR'
          : `check the editor: ${chosen}${/\s/.test(chosen) ? ' (a path with a blank needs quotes of its own)' : ''}`,
    });
  }
  context.report('changed');
  const uses = await usesOf(context, basename(file));
  const roles = loginRoles(context.settings).filter(({ secret }) => secret.file === basename(file));
  // As an install does, which would refuse them later.
  for (const secret of new Map(uses.map(({ secret }) => [secret.key, secret])).values()) {
    const decryptAs = roles.some((role) => role.secret.key === secret.key) ? decryptPassword : decryptText;
    await decryptAs(context, secret).catch((error: unknown) => {
      if (!(error instanceof TaskError)) throw error;
      throw new TaskError({ ...error, why: `${error.why}; the text was saved, and can be edited again` });
    });
  }
  const now = await decryptFile(context, file);
  if (isDeepStrictEqual(now, values)) return context.print(`no value of ${file} has changed`);
  const isChanged = ({ secret: { key } }: { readonly secret: SecretKey }): boolean =>
    !isDeepStrictEqual(now[key], values[key]);
  context.print(howToApply(file, uses.filter(isChanged), roles.filter(isChanged)));
}

const decryptText = (context: Context, { file, key }: SecretKey): Promise<string> =>
  decryptValue(context, file, key);

type Use = { readonly secret: SecretKey; readonly task: string };

/** What uses the values of a file, in the order in which changes are applied: Vault logs in with what core has set. */
async function usesOf({ environment: { root }, settings }: Target, file: string): Promise<Use[]> {
  const secretsIn = (tree: unknown): SecretKey[] =>
    leavesOf(tree).flatMap(({ value }) => secretKey(String(value)) ?? []);
  const releases = (await declaredReleases(root)).flatMap(({ name, tier }) =>
    secretsIn([
      settings.releases[name],
      // Both are given the passwords of roles.
      ...(['devops', 'postgresql'].includes(name) ? [settings.database] : []),
    ]).map((secret) => ({ secret, tier, task: `install-tier ${tier}` })),
  );
  const { keyValues, mounts } = await loadDesiredState(join(root, 'vault'));
  const inVault = [
    ...keyValues.flatMap(({ values }) => values.map(({ from }) => from)),
    ...mounts.flatMap(({ connections }) => connections.map(({ password }) => password)),
  ].flatMap((from) => ('file' in from ? [{ secret: from, task: 'init-vault' }] : []));
  const isCore = ({ tier }: { readonly tier: string }): boolean => tier === 'core';
  return [...releases.filter(isCore), ...inVault, ...releases.filter((use) => !isCore(use))].filter(
    ({ secret }) => secret.file === file,
  );
}

/** Advice with the tasks that apply changed values to the cluster. */
function howToApply(file: string, uses: readonly Use[], roles: readonly LoginRole[]): string {
  if (uses.length === 0)
    return `nothing uses the changed values of ${file} yet: see releases in environments/ and vault/state.yaml`;
  const superuser = roles.find(({ kind }) => kind === 'superuser');
  const tasks = uses.flatMap(({ secret, task }) => (secret.key === superuser?.secret.key ? [] : [task]));
  const texts = [...new Set(tasks)].map((words) => taskCommand(words));
  return [
    ...(superuser
      ? [
          `an existing server keeps the superuser's password: put the old \`${superuser.secret.key}\` back, then ${taskCommand('rotate-database-password superuser')} generates and sets a new one`,
        ]
      : []),
    ...(texts.length > 0 ? [`to apply it to the cluster: ${texts.join(', then ')}`] : []),
    ...(roles.some((role) => role !== superuser)
      ? [
          `passwords of database roles are changed by ${taskCommand('rotate-database-password')}, which generates, sets and encrypts them`,
        ]
      : []),
  ].join('\n');
}
