import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { leavesOf, secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import { explainSops } from '../secrets/explain.ts';
import { importPublicKeys } from '../secrets/keyring.ts';
import { sopsShell } from '../secrets/shell.ts';
import type { Context, InEnvironment, Target } from '../settings/context.ts';
import { type Environment, exportHomes, processEnvironment } from '../settings/environment.ts';
import { signalOf } from '../tools/tool-answer.ts';
import { loadDesiredState } from '../vault/api/state.ts';

/** The file to edit, which may not exist, and all that do: the named one, the only one, or database.yaml. */
async function choose({ environment }: InEnvironment, named: string | undefined) {
  const names = await secretNames(environment);
  const file = named ?? (names.length === 1 ? names[0] : undefined) ?? 'database.yaml';
  return { file, names, path: secretsFile(environment.name, file) };
}

/** Path of the file to edit. Throws `UsageError` if it does not exist. */
async function fileToEdit(context: InEnvironment, named: string | undefined): Promise<string> {
  const { name } = context.environment;
  const { file, names, path } = await choose(context, named);
  if (names.includes(file)) return path;
  throw new UsageError({
    what: `environment \`${name}\` has no secrets file \`${file}\``,
    why: names.length === 0 ? `environments/${name}/secrets is empty` : `it has ${names.join(', ')}`,
    advice: `${taskCommand('make-secrets')} creates the missing files, with random values`,
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

/** The user's editor; if empty, sops tries vim, nano and vi. */
const editor = (): string => process.env.SOPS_EDITOR || process.env.VISUAL || process.env.EDITOR || '';

const folderOf = ({ state }: Environment): string => join(state, 'edit');

/** The plain commands, for `--dry-run`. */
export async function editCommands(
  context: InEnvironment,
  named: string | undefined,
): Promise<readonly string[]> {
  const { environment } = context;
  const { path } = await choose(context, named);
  const folder = `.state/${environment.name}/edit`;
  return [
    exportHomes(environment, 'GNUPGHOME'),
    `mkdir -p -m 700 ${folder}`,
    `TMPDIR=${shellWord(folderOf(environment))} EDITOR="\${VISUAL:-$EDITOR}" sops edit ${shellWord(path)}`,
    `rm -rf ${folder}`,
  ];
}

/** Exit codes of sops: the file was closed unchanged, the editor failed. */
const unchangedCode = 200;
const editorFailedCode = 201;

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
  const chosen = editor();
  const path = join(environment.root, file);
  // Decrypted without the editor first, to explain a problem with the file or its key.
  const opened = await (await sopsShell(context))`sops decrypt --output /dev/null ${path}`;
  if (opened.exitCode !== 0) throw await explainSops(environment.root, file, '', opened);
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
    throw new TaskError({
      what: edited.exitCode === editorFailedCode ? 'the editor failed' : `sops could not write ${file}`,
      why: `sops ended with ${signalOf(edited) ?? edited.exitCode}${untouched ? `; ${file} was not changed` : ''}`,
      advice:
        edited.exitCode !== editorFailedCode
          ? 'run again'
          : chosen === ''
            ? 'name your editor in VISUAL or EDITOR'
            : `check the editor: ${chosen}`,
    });
  }
  context.report('changed');
  context.print(await howToApply(context, file));
}

/** Advice with the tasks that apply an edited file to the cluster. */
async function howToApply({ environment: { root }, settings }: Target, file: string): Promise<string> {
  const name = basename(file);
  const uses = (release: string): boolean =>
    leavesOf([
      settings.releases[release],
      // Both are given the passwords of roles.
      ...(['devops', 'postgresql'].includes(release) ? [settings.database] : []),
    ]).some(({ value }) => String(value).startsWith(`sops://${name}#/`));
  const users = (await declaredReleases(root)).filter((release) => uses(release.name));
  const { keyValues, mounts } = await loadDesiredState(join(root, 'vault'));
  const references = [
    ...keyValues.flatMap(({ values }) => values.map(({ from }) => from)),
    ...mounts.flatMap(({ connections }) => connections.map(({ password }) => password)),
  ];
  const inVault = references.some((from) => 'file' in from && from.file === name);
  const tasks = [
    ...(inVault ? ['init-vault'] : []),
    ...[...new Set(users.map(({ tier }) => tier))].map((tier) => `install-tier ${tier}`),
  ];
  if (tasks.length === 0)
    return `nothing uses ${file} yet: see releases in environments/ and vault/state.yaml`;
  return `to apply it to the cluster: ${tasks.map((words) => taskCommand(words)).join(', then ')}`;
}
