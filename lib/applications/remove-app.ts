import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import { taskCommand } from '../ground/launcher.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { isTree, valueAt } from '../ground/tree.ts';
import { declaredReleases, namesText, needingAny, type Release } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import type { Context, InEnvironment } from '../settings/context.ts';
import { remembered } from '../settings/environment.ts';
import { type SecretKey, secretKey } from '../settings/secret-reference.ts';
import { environmentNames, foldersIn } from '../settings/settings.ts';
import { type Changes, changeCommands, changedText, checkChanges, makeChanges } from './changes.ts';
import { type Path, removeEntries } from './yaml-edits.ts';

type Removal = {
  /** A killed run can be repeated: settings say which secrets go, and helmfile.yaml which applications there are. */
  readonly changes: Changes;
  /** Keys of encrypted files that hold other secrets, too. */
  readonly keysLeft: readonly { readonly environment: string; readonly secret: SecretKey }[];
};

/** What the removal of an application changes. Throws `TaskError` if something else needs it. */
export async function removal({ environment: { root } }: InEnvironment, app: string): Promise<Removal> {
  const releases = await declaredReleases(root);
  const own = releases.filter((release) => release.app === app);
  checkNeeds(releases, own, app);
  const names = own.map(({ name }) => name);
  const isOwn = (key: string | undefined): boolean => key === app;
  const rules: readonly (readonly [Path, (key: string | undefined, value: unknown) => boolean])[] = [
    [['database', 'applications'], isOwn],
    [['releases', 'devops', 'databaseSecrets'], (_, value) => valueAt(value, ['user']) === app],
    [['releases'], (key) => key !== undefined && names.includes(key)],
  ];
  const files = await settingsOfAll(root);
  const changes = new Map<string, string | undefined>();
  const edit = async (file: string, edits: typeof rules): Promise<void> => {
    const before = await readFile(join(root, file), 'utf8');
    const after = edits.reduce((text, [path, fits]) => removeEntries(text, path, fits), before);
    if (after !== before) changes.set(file, after);
  };
  const keysLeft: { environment: string; secret: SecretKey }[] = [];
  for (const secret of await secretsOf(root, app, files))
    for (const environment of await environmentNames(root)) {
      if (!(await secretNames({ name: environment, root })).includes(secret.file)) continue;
      if (secret.file === `${app}.yaml`) changes.set(secretsFile(environment, secret.file), undefined);
      else keysLeft.push({ environment, secret });
    }
  for (const file of files) await edit(file, rules);
  await edit('vault/state.yaml', [[['applications'], isOwn]]);
  await edit('helmfile.yaml', [[['releases'], (_, value) => valueAt(value, ['labels', 'app']) === app]]);
  await checkChanges(changes, (file) => `${app} cannot be removed from ${file}`);
  return { changes, keysLeft };
}

function checkNeeds(releases: readonly Release[], own: readonly Release[], app: string): void {
  const [other] = needingAny(releases, own);
  if (other === undefined) return;
  throw new TaskError({
    what: `\`${app}\` cannot be removed`,
    why: `the release \`${other.name}\` needs it`,
    advice: 'remove it from `needs` in helmfile.yaml, then run again; nothing was changed',
  });
}

/** Paths of all settings files, relative to the project. */
async function settingsOfAll(root: string): Promise<string[]> {
  const folders = [
    'environments',
    ...(await foldersIn(root, 'environments')).map((name) => `environments/${name}`),
  ];
  const files = folders.map(async (folder) =>
    namesEnding(folder, await readdir(join(root, folder)), '.yaml').map((name) => `${folder}/${name}`),
  );
  return (await Promise.all(files)).flat();
}

/** Where the settings say that the password of the application's role is. */
async function secretsOf(root: string, app: string, files: readonly string[]): Promise<SecretKey[]> {
  const found = new Map<string, SecretKey>();
  for (const file of files) {
    const { value } = await readStrictYaml(await readFile(join(root, file), 'utf8'), file);
    const role = valueAt(value, ['database', 'applications', app]);
    const secret = isTree(role) ? secretKey(String(role.password)) : undefined;
    if (secret !== undefined) found.set(JSON.stringify(secret), secret);
  }
  return [...found.values()];
}

/** Throws `TaskError` if the application is installed in the environment; logs if that cannot be known. */
async function checkNotInstalled(context: Context, app: string): Promise<void> {
  const { environment } = context;
  if ((await remembered(environment)) === undefined) return;
  const phase = await (await clusterOf(environment)).phase(context);
  if (phase === 'absent') return;
  if (phase !== 'running')
    return context.log(
      `the cluster of environment \`${environment.name}\` is ${phase}: if ${app} is installed in it, it stays`,
    );
  const deployed = await deployedReleases(context, () => undefined);
  const installed = (await declaredReleases(environment.root, { app })).filter(({ id }) => deployed.has(id));
  if (installed.length === 0) return;
  throw new TaskError({
    what: `\`${app}\` is installed in environment \`${environment.name}\``,
    why: `its cluster has ${namesText(installed)}, which no task could remove any more`,
    advice: `run ${taskCommand(`uninstall-app ${app}`)}, also in other environments that have it`,
  });
}

/** The plain commands of `removeApp`, for `--dry-run`. */
export async function removeAppCommands(target: InEnvironment, app: string): Promise<readonly string[]> {
  const found = await removal(target, app);
  return [
    ...(await changeCommands(target.environment.root, found.changes)),
    ...leftovers(app, found).map((line) => `# ${line}`),
  ];
}

/** Removes an application that is not installed from the project's files. Either all files are changed, or none. */
export async function removeApp(context: Context, app: string): Promise<void> {
  await checkNotInstalled(context, app);
  const found = await removal(context, app);
  await makeChanges(context.environment.root, found.changes);
  const lines = [`commit these together: ${changedText(found.changes)}`, ...leftovers(app, found)];
  context.print(lines.join('\n'));
  context.report('changed');
}

/** What stays where the application was installed, and how to remove it. */
const leftovers = (app: string, { changes, keysLeft }: Removal): string[] => [
  `${app}'s database and its role stay, with all data. As superuser: DROP DATABASE "${app}"; DROP ROLE "${app}";`,
  ...(changes.has('vault/state.yaml')
    ? [`in Vault, ${taskCommand('init-vault')} removes its access, and kv/${app} stays (vault/README.md)`]
    : []),
  ...keysLeft.map(
    ({ environment, secret: { file, key } }) =>
      `${secretsFile(environment, file)} keeps \`${key}\`: remove it with ${taskCommand(`edit-secrets ${file}`, environment)}`,
  ),
];
