import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { taskCommand } from '../ground/launcher.ts';
import { root } from '../ground/project.ts';
import { shellWord } from '../ground/shell-words.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { TaskError, UsageError } from '../runner/runner.ts';
import { leavesOf, secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import { explainSops } from '../secrets/explain.ts';
import { importPublicKeys } from '../secrets/operational-key.ts';
import { sopsShell } from '../secrets/shell.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { type Environment, exportHomes, processEnvironment, settingsOf } from '../settings/environment.ts';
import { signalOf } from '../tools/tool-answer.ts';
import { loadDesiredState } from '../vault/api/state.ts';

/** An editor needs a terminal, and this one is not to be started in vain. Throws `UsageError`. */
export function requireTerminal(file: string): void {
  if (process.stdin.isTTY && process.stdout.isTTY) return;
  throw new UsageError({
    what: 'an editor needs a terminal, and there is none',
    why: 'stdin or stdout is a file or a pipe',
    advice: `without one: sops set --value-stdin ${shellWord(file)} '["key"]' in the shell of \`./run env\`; the value comes as JSON on stdin`,
  });
}

/** Path of the file that is meant, whether or not it is there: as named, else the only one, else database.yaml. */
export async function nameOfFile(environment: string, named: string | undefined): Promise<string> {
  const names = await secretNames(environment);
  return secretsFile(environment, named ?? (names.length === 1 ? names[0] : undefined) ?? 'database.yaml');
}

/** The file to edit. Throws `UsageError` when the environment lacks it. */
export async function fileToEdit(environment: string, named: string | undefined): Promise<string> {
  const names = await secretNames(environment);
  const path = await nameOfFile(environment, named);
  const file = basename(path);
  if (names.includes(file)) return path;
  throw new UsageError({
    what: `environment \`${environment}\` has no secrets file \`${file}\``,
    why: names.length === 0 ? `environments/${environment}/secrets is empty` : `it has ${names.join(', ')}`,
    advice: `${taskCommand(`make-secrets --env ${environment}`)} makes what is missing, with random values`,
  });
}

/** The user's choice, by the names that sops and everybody else know. Empty: sops looks for vim, nano and vi. */
const editor = (): string => process.env.SOPS_EDITOR || process.env.VISUAL || process.env.EDITOR || '';

const folderOf = (state: string): string => join(state, 'edit');

/** The plain commands, for `--dry-run`. */
export function editCommands(environment: Environment, file: string): readonly string[] {
  const folder = `.state/${environment.name}/edit`;
  return [
    exportHomes(environment, 'GNUPGHOME'),
    `mkdir -p -m 700 ${folder}`,
    `TMPDIR=${shellWord(folderOf(environment.state))} EDITOR="\${VISUAL:-$EDITOR}" sops edit ${shellWord(file)}`,
    `rm -rf ${folder}`,
  ];
}

/** What sops ends with when the file was closed as it was. */
const unchangedCode = 200;
const editorFailedCode = 201;

/**
 * Opens an encrypted file in the user's editor. The decrypted text is in a folder of the state meanwhile, for the user alone;
 * the folder goes with whatever an editor leaves in it, also what a killed run left.
 */
export async function editSecrets(context: EnvironmentContext, file: string): Promise<void> {
  const { $, environment } = context;
  await importPublicKeys(context);
  const folder = folderOf(environment.state);
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  await removeFolder();
  context.onRunEnd(removeFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const chosen = editor();
  // First without the editor: what is wrong with the file or its key is told in words of ours.
  const opened = await (await sopsShell(context))`sops decrypt --output /dev/null ${join(root, file)}`;
  if (opened.exitCode !== 0) throw await explainSops(file, '', opened);
  const before = await readFile(join(root, file), 'utf8');
  const env = { ...(await processEnvironment(environment)), TMPDIR: folder };
  const edited = await $({
    nothrow: true,
    env: chosen === '' ? env : { ...env, EDITOR: chosen },
  })`sops edit ${file}`;
  await removeFolder();
  if (edited.exitCode === unchangedCode) {
    context.print(`${file} was not changed`);
    return context.report('unchanged');
  }
  if (edited.exitCode !== 0) {
    const untouched = (await readFile(join(root, file), 'utf8')) === before;
    throw new TaskError({
      what: edited.exitCode === editorFailedCode ? 'the editor failed' : `sops could not write ${file}`,
      why: `sops ended with ${signalOf(edited) ?? edited.exitCode}${untouched ? `; ${file} is as it was` : ''}`,
      advice:
        edited.exitCode !== editorFailedCode
          ? 'run it again'
          : chosen === ''
            ? 'name your editor in VISUAL or EDITOR'
            : `look at the editor: ${chosen}`,
    });
  }
  context.report('changed');
  context.print(await whereTo(environment, file));
}

/** What brings an edited file to where its values are used, in one line. */
async function whereTo(environment: Environment, file: string): Promise<string> {
  const name = file.slice(file.lastIndexOf('/') + 1);
  const { releases = {} } = (await settingsOf(environment)) as { releases?: { [release: string]: unknown } };
  const uses = (release: string): boolean =>
    leavesOf(releases[release]).some(({ value }) => String(value).startsWith(`sops://${name}#/`));
  const tiers = (await declaredReleases()).filter((release) => uses(release.name)).map(({ tier }) => tier);
  const { keyValues, mounts } = await loadDesiredState(join(root, 'vault'));
  const references = [
    ...keyValues.flatMap(({ values }) => values.map(({ from }) => from)),
    ...mounts.flatMap(({ connections }) => connections.map(({ password }) => password)),
  ];
  const inVault = references.some((from) => 'file' in from && from.file === name);
  const tasks = [
    ...(inVault ? ['init-vault'] : []),
    ...[...new Set(tiers)].map((tier) => `install-tier ${tier}`),
  ];
  if (tasks.length === 0)
    return `nothing uses ${file} yet: see releases in environments/ and vault/state.yaml`;
  return `to bring it to the cluster: ${tasks.map(taskCommand).join(', then ')}`;
}
