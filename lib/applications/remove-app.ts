import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { clusterOf } from '../cluster/cluster.ts';
import { namesEnding } from '../ground/files.ts';
import { taskCommand } from '../ground/launcher.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { isTree, valueAt } from '../ground/tree.ts';
import { declaredReleases, namesText, needingAny, type Release } from '../helm/helmfile.ts';
import { deployedReleases } from '../helm/releases.ts';
import { secretNames, secretsFile } from '../secrets/encrypted-file.ts';
import type { EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { remembered } from '../settings/environment.ts';
import { type SecretKey, secretKey } from '../settings/secret-reference.ts';
import { environmentNames, foldersIn } from '../settings/settings.ts';
import { checkChanges, type Plan } from './changes.ts';
import { type Path, removeEntries } from './yaml-edits.ts';

/**
 * The plan to remove an application. A killed run can be repeated: settings say which secrets go, and helmfile.yaml,
 * the last file, which applications there are. Throws `TaskError` if something else needs it.
 */
export async function removeApp({ environment: { root } }: InEnvironment, app: string): Promise<Plan> {
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
  const keysLeft: string[] = [];
  const secrets = await secretsOf(root, app, files);
  for (const secret of secrets)
    for (const environment of await environmentNames(root)) {
      if (!(await secretNames({ name: environment, root })).includes(secret.file)) continue;
      if (secret.file === `${app}.yaml`) changes.set(secretsFile(environment, secret.file), undefined);
      // The file holds other secrets, too.
      else keysLeft.push(keyLeft(environment, secret));
    }
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

const keyLeft = (environment: string, { file, key }: SecretKey): string =>
  `${secretsFile(environment, file)} keeps \`${key}\`: remove it with ${taskCommand(`edit-secrets ${file}`, environment)}`;

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
export async function checkNotInstalled(context: EnvironmentContext, app: string): Promise<void> {
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
