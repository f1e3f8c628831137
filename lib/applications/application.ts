import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { parse } from 'yaml';
import { clusterOf } from '../cluster/cluster.ts';
import { namesEnding } from '../ground/file-names.ts';
import { taskCommand } from '../ground/launcher.ts';
import { otherReading, readStrictYaml } from '../ground/strict-yaml.ts';
import { valueAt } from '../ground/tree.ts';
import { declaredReleases, namesText, needingAny } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { allSecretFiles, editCommand } from '../secrets/encrypted-file.ts';
import { sharedFiles } from '../secrets/shared-file.ts';
import { roleProblems } from '../settings/check.ts';
import type { EnvironmentContext, InEnvironment, Target } from '../settings/context.ts';
import { remembered } from '../settings/environment.ts';
import { roleForm } from '../settings/schema.ts';
import { type SecretKey, secretKey } from '../settings/secret-reference.ts';
import { foldersIn } from '../settings/settings.ts';
import { checkChanges, type Plan } from './changes.ts';
import { addEntries, type Path, removeEntries } from './yaml-edits.ts';

/** Where an application's database login comes from. */
export type SecretsKind = 'vault' | 'sops';

type Wanted = { readonly name: string; readonly secrets: SecretsKind };

type Template = {
  readonly secrets: Readonly<Record<SecretsKind, { readonly [name: string]: string }>>;
  readonly additions: readonly {
    readonly file: string;
    readonly path: Path;
    readonly for?: SecretsKind;
    readonly text: string;
  }[];
};

const template = async (): Promise<Template> =>
  parse(await readFile(fileURLToPath(new URL('application.yaml', import.meta.url)), 'utf8')) as Template;

/**
 * The plan to add an application, with its secrets. helmfile.yaml comes first: `remove-app` finds what a killed run has
 * begun. Throws `UsageError` for an unfit name.
 */
export async function newApp(target: Target, { name, secrets }: Wanted): Promise<Plan> {
  await checkName(target, name);
  const { root } = target.environment;
  const { secrets: kinds, additions } = await template();
  const fill = (text: string): string =>
    text.replaceAll(/\$\{(\w+)\}/g, (_, key: string) =>
      key === 'app' ? name : fill(kinds[secrets][key] ?? ''),
    );
  const changes = new Map<string, string>();
  for (const { file, path, for: only = secrets, text } of additions) {
    if (only !== secrets) continue;
    const before = changes.get(file) ?? (await readFile(join(root, file), 'utf8'));
    changes.set(file, addEntries(before, path, fill(text)));
  }
  await checkChanges(changes, (file) => `${name} cannot be added to ${file}`);
  // Environments without secrets get theirs by `make-secrets`.
  const folders = secrets === 'vault' ? [] : (await allSecretFiles(root)).map((file) => dirname(file));
  const install = `${secrets === 'vault' ? 'init-vault , ' : ''}install-app ${name} , test-app ${name}`;
  return {
    changes,
    secrets: [...new Set(folders)].map((folder) => ({
      ...{ file: join(folder, `${name}.yaml`), keys: { password: '' } },
    })),
    next: `new application \`${name}\`: ${taskCommand(install)} installs and tests it`,
  };
}

/** Words that a setting or an argument uses for something else. */
const reserved = ['all', 'superuser', 'backend', 'frontend', 'constructor', 'prototype'];

const releaseNames = (app: string) => [`${app}-back`, `${app}-front`];

/** Throws `UsageError` if an application cannot have this name. */
export async function checkName(target: Target, name: string): Promise<void> {
  const why = formProblem(name) ?? (await takenProblem(target, name));
  if (why === undefined) return;
  throw new UsageError({
    what: `\`${name}\` cannot be the name of a new application`,
    why,
    advice: 'use another name, such as `orders`',
  });
}

function formProblem(name: string): string | undefined {
  // Helm takes 53 characters for a release.
  if (!/^[a-z][a-z0-9]{0,46}$/.test(name))
    return 'releases, a host, a database and its role are named after it: at most 47 of a-z and 0-9, with a letter first';
  const value: unknown = parse(name);
  if (typeof value !== 'string' || otherReading(name, value) !== undefined)
    return 'without quotes, YAML readers do not all take it for a text';
  if (reserved.includes(name) || !roleForm.test(name)) return 'it has a meaning of its own';
  return undefined;
}

async function takenProblem({ environment, settings }: Target, name: string): Promise<string | undefined> {
  const { root } = environment;
  const releases = await declaredReleases(root);
  const taken = releases.find((release) => release.app === name || releaseNames(name).includes(release.name));
  if (taken !== undefined) {
    const has = `helmfile.yaml has the release \`${taken.name}\` of \`${taken.app}\``;
    return taken.tier === 'apps' ? `${has}, which ${taskCommand(`remove-app ${taken.app}`)} removes` : has;
  }
  const { database } = settings;
  if (Object.hasOwn(database.applications, name)) return 'it is in the setting `database.applications`';
  const applications = { ...database.applications, [name]: { password: '' } };
  const [problem] = roleProblems({ ...settings, database: { ...database, applications } });
  if (problem?.path.at(-1) === name)
    return 'its database and role are named after it, and PostgreSQL has another one of this name';
  if (sharedFiles.includes(`${name}.yaml`))
    return `secrets/${name}.yaml is the file of something else that a team shares (docs/secrets.md)`;
  const file = (await allSecretFiles(root)).find((path) => path.endsWith(`/${name}.yaml`));
  return file === undefined ? undefined : `${file} exists`;
}

/**
 * The plan to remove an application. A killed run can be repeated: settings say which secrets go, and helmfile.yaml,
 * the last file, which applications there are. Throws `TaskError` if something else needs it.
 */
export async function removeApp({ environment: { root } }: InEnvironment, app: string): Promise<Plan> {
  const releases = await declaredReleases(root);
  const own = releases.filter((release) => release.app === app);
  const [other] = needingAny(releases, own);
  if (other !== undefined)
    throw new TaskError({
      what: `\`${app}\` cannot be removed`,
      why: `the release \`${other.name}\` needs it`,
      advice: 'remove it from `needs` in helmfile.yaml, then run again; nothing was changed',
    });
  const isOwn = (key: string | undefined): boolean => key === app;
  const rules: readonly (readonly [Path, (key: string | undefined, value: unknown) => boolean])[] = [
    [['database', 'applications'], isOwn],
    [['releases', 'devops', 'databaseSecrets'], (_, value) => valueAt(value, ['user']) === app],
    [['releases'], (key) => own.some(({ name }) => name === key)],
  ];
  const files = await settingsOfAll(root);
  const changes = new Map<string, string | undefined>();
  const edit = async (file: string, edits: typeof rules): Promise<void> => {
    const before = await readFile(join(root, file), 'utf8');
    const after = edits.reduce((text, [path, fits]) => removeEntries(text, path, fits), before);
    if (after !== before) changes.set(file, after);
  };
  const keysLeft: string[] = [];
  const secrets = await secretsOf(root, app, files);
  const secretFiles = await allSecretFiles(root);
  for (const { file, key } of secrets)
    for (const path of secretFiles.filter((one) => basename(one) === file))
      if (file === `${app}.yaml`) changes.set(path, undefined);
      // The file holds other secrets, too.
      else keysLeft.push(`${path} keeps \`${key}\`: remove it with ${editCommand(path)}`);
  for (const file of files) await edit(file, rules);
  await edit('vault/state.yaml', [[['applications'], isOwn]]);
  await edit('helmfile.yaml', [[['releases'], (_, value) => valueAt(value, ['labels', 'app']) === app]]);
  await checkChanges(changes, (file) => `${app} cannot be removed from ${file}`);
  const inVault = `in Vault, ${taskCommand('init-vault')} removes its access, and kv/${app} stays (vault/README.md)`;
  const inCluster = `in the cluster, ${taskCommand('install-app devops')} removes the Secret with its password`;
  const left = [
    `${app}'s database and its role stay, with all data. As superuser: DROP DATABASE "${app}"; DROP ROLE "${app}";`,
    ...(changes.has('vault/state.yaml') ? [inVault] : []),
    ...(secrets.length > 0 ? [inCluster] : []),
    ...keysLeft,
  ];
  return { changes, left };
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
    const secret = secretKey(String(valueAt(value, ['database', 'applications', app, 'password'])));
    if (secret !== undefined) found.set(JSON.stringify(secret), secret);
  }
  return [...found.values()];
}

/** Throws `TaskError` if the application is installed in the environment; logs if that cannot be known. */
export async function checkNotInstalled(context: EnvironmentContext, app: string): Promise<void> {
  const { environment } = context;
  if ((await remembered(environment)) === undefined) return;
  const { phase } = await (await clusterOf(environment)).state(context);
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
