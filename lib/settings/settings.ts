import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { root as projectFolder } from '../ground/project.ts';
import { readStrictYaml, type StrictYaml } from '../ground/strict-yaml.ts';
import { isTree, merge } from '../ground/tree.ts';
import { didYouMean, quote, TaskError, UsageError } from '../runner/runner.ts';
import type { Layer } from './check.ts';
import type { Settings } from './schema.ts';

export type { ChartSetting, DatabaseRoles, ImageSetting, Settings } from './schema.ts';

/** Read files by their text: settings are read for every tool and task, and parsing takes longer than all the rest. */
const read = new Map<string, StrictYaml>();

/** Names of the folders in one, sorted, and of links to folders. None where there is no such folder. */
async function foldersIn(root: string, path: string): Promise<string[]> {
  const names = (await ifThere(readdir(join(root, path)))) ?? [];
  // A link may lead nowhere, or to itself.
  const found = await Promise.all(names.map((name) => stat(join(root, path, name)).catch(() => undefined)));
  return names.filter((_, index) => found[index]?.isDirectory()).sort();
}

/** Names of the folders under `environments/`, each one an environment; hidden ones (`.idea`) are somebody else's. */
export const environmentNames = async (root: string = projectFolder): Promise<string[]> =>
  (await foldersIn(root, 'environments')).filter((name) => !name.startsWith('.'));

/**
 * Letters of the longest name: the longest thing that is made of it is a node of minikube, `<name>-<8 hex digits>-m02`, which
 * has to be a DNS label of at most 63 letters (RFC 1123).
 */
const longestName = 50;

/**
 * Throws a `UsageError` that names the rule for an environment's name, or the environments there are. With `made` it is
 * enough that something was made of the environment: what takes that away needs no folder under environments/.
 */
export async function checkEnvironment(
  name: string,
  enough: 'folder' | 'made' = 'folder',
  root: string = projectFolder,
): Promise<void> {
  const made = (await foldersIn(root, '.state')).includes(name);
  if (made && enough === 'made') return;
  const wayOut = `${taskCommand(`destroy-environment --env ${quote(name)}`)} removes what was made of it`;
  if (name.length > longestName || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
    throw new UsageError({
      what: `\`${name}\` cannot be the name of an environment`,
      why: `hosts, nodes and the cluster are named after it: at most ${longestName} of a-z, 0-9 and \`-\`, which is neither the first nor the last`,
      advice: made ? wayOut : 'rename its folder under environments/',
    });
  }
  const names = await environmentNames(root);
  if (names.includes(name)) return;
  throw new UsageError({
    what: `unknown environment \`${name}\``,
    why: `environments/ has ${names.map((known) => `\`${known}\``).join(', ')}`,
    advice: made
      ? `bring its folder back; or else ${wayOut}`
      : didYouMean(name, names, 'make a new one by copying a folder under environments/'),
  });
}

/**
 * The files with the values of an environment, relative to the project, lowest layer first. The last one is written by
 * the cluster provider (addresses and ports); it is named also while it is not there.
 */
export async function settingsFiles(
  environment: string,
  provider: ProviderName,
  root: string = projectFolder,
): Promise<string[]> {
  const { settingsFile } = providerOf({ provider });
  const top = namesEnding('environments', await readdir(join(root, 'environments')), '.yaml');
  const folder = `environments/${environment}`;
  // Where the folder is gone, what was made of it is taken away with the layers that are left.
  const own = namesEnding(folder, (await ifThere(readdir(join(root, folder)))) ?? [], '.yaml');
  const pattern = own.find((name) => /[*?[\\]/.test(name));
  if (pattern !== undefined)
    throw new TaskError({
      what: `${folder}/${pattern} cannot be the name of a settings file`,
      why: 'helmfile takes `*`, `?`, `[` and `\\` in it for a pattern, and reads other files or none',
      advice: 'rename it',
    });
  return [
    'environments/common.yaml',
    ...(top.includes(`${provider}.yaml`) ? [`environments/${provider}.yaml`] : []),
    ...own.map((file) => `${folder}/${file}`),
    ...(settingsFile === undefined ? [] : [`.state/${environment}/${settingsFile}`]),
  ];
}

async function readLayer(root: string, file: string): Promise<Layer> {
  const text = await readFile(join(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && file.startsWith('.state/')) return '';
    throw new TaskError({
      what: `cannot read ${file}`,
      why: error.message,
      advice: 'check the file and its mode',
    });
  });
  const { value, lineOf } = read.get(text) ?? (await readStrictYaml(text, file));
  read.set(text, { value, lineOf });
  const tree = value ?? {};
  if (isTree(tree)) return { file, tree, lineOf };
  throw new TaskError({
    what: `${file} holds no map`,
    why: 'settings are maps of names',
    advice: 'see environments/common.yaml',
  });
}

/** The merged settings of an environment. Throws `TaskError` that names the file and the setting for all that is wrong with them. */
export async function loadSettings(
  environment: string,
  provider: ProviderName,
  root: string = projectFolder,
): Promise<Settings> {
  const files = await settingsFiles(environment, provider, root);
  const layers = await Promise.all(files.map((file) => readLayer(root, file)));
  // Not at the start: only tasks that look at an environment need the schema.
  const { checkSettings } = await import('./check.ts');
  return checkSettings(layers.map(({ tree }) => tree).reduce(merge), layers, environment, provider);
}
