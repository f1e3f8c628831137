import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { didYouMean, TaskError, UsageError } from '@k8s-deployment/runner';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { ifThere } from '../ground/if-there.ts';
import { defaultEnvironment, taskCommand } from '../ground/launcher.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { root as projectFolder } from '../ground/project.ts';
import { readStrictYaml, type StrictYaml } from '../ground/strict-yaml.ts';
import { isTree } from '../ground/tree.ts';
import type { Environment, Settings } from './context.ts';
import { digestWords, type Layer, mergeLayers, placeIn } from './layers.ts';

/** Parsed files by text and settings by the texts of their layers, since every task reads mostly the same ones. */
const parsed = new Map<string, StrictYaml>();
const checked = new Map<string, Settings>();

/** Names of folders, and of links to folders, sorted; empty if `path` does not exist. */
export async function foldersIn(root: string, path: string): Promise<string[]> {
  const names = (await ifThere(readdir(join(root, path)))) ?? [];
  // A link may be broken.
  const found = await Promise.all(names.map((name) => ifThere(stat(join(root, path, name)))));
  return names.filter((_, index) => found[index]?.isDirectory()).sort();
}

/**
 * Names of the environments: the folders under `environments/`, except hidden ones (`.idea`) and `cloud`, files to
 * include.
 */
export const environmentNames = async (root: string = projectFolder): Promise<string[]> =>
  (await foldersIn(root, 'environments')).filter((name) => !name.startsWith('.') && name !== 'cloud');

/** minikube's node name `<name>-<8 hex digits>-m02` must be a DNS label of at most 63 characters (RFC 1123). */
const longestName = 50;

/** Throws `UsageError` if no environment can have this name. */
export function checkEnvironmentName(name: string, advice = 'use another name, such as `staging`'): void {
  if (name.length <= longestName && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) return;
  throw new UsageError({
    what: `\`${name}\` cannot be the name of an environment`,
    why: `hosts, nodes and the cluster are named after it: at most ${longestName} of a-z, 0-9 and \`-\`, which is neither the first nor the last`,
    advice,
  });
}

/**
 * Throws `UsageError` for an invalid name or an unknown environment. With `made`, an environment that was created is
 * accepted: removing it needs no folder under environments/.
 */
export async function checkEnvironment(
  name: string,
  enough: 'folder' | 'made' = 'folder',
  root: string = projectFolder,
): Promise<void> {
  const made = (await foldersIn(root, '.state')).includes(name);
  if (made && enough === 'made') return;
  const wayOut = `${taskCommand('destroy-environment')} removes it`;
  const names = await environmentNames(root);
  const rename = names.includes(name)
    ? 'rename its folder under environments/'
    : `use one of ${names.join(', ')}`;
  checkEnvironmentName(name, made ? wayOut : rename);
  if (names.includes(name)) return;
  throw new UsageError({
    what: `unknown environment \`${name}\``,
    why: `environments/ has ${names.map((known) => `\`${known}\``).join(', ')}`,
    advice: made
      ? `restore its folder; or else ${wayOut}`
      : didYouMean(name, names, `create it: ${taskCommand(`new-environment ${name}`, defaultEnvironment)}`),
  });
}

/**
 * Paths of an environment's settings files relative to the project, lowest layer first. The provider writes the last
 * one (addresses and ports); of a cluster that the tasks create, it is listed even before it exists.
 */
export async function settingsFiles(
  environment: string,
  provider: ProviderName,
  root: string = projectFolder,
): Promise<string[]> {
  const { ownsCluster, settingsFile } = providerOf({ provider });
  const top = namesEnding('environments', await readdir(join(root, 'environments')), '.yaml');
  const folder = `environments/${environment}`;
  // Without the folder, the remaining layers suffice to remove the environment.
  const own = namesEnding(folder, (await ifThere(readdir(join(root, folder)))) ?? [], '.yaml');
  const pattern = own.find((name) => /[*?[\\]/.test(name));
  if (pattern !== undefined)
    throw new TaskError({
      what: `${folder}/${pattern} cannot be the name of a settings file`,
      why: 'helmfile reads `*`, `?`, `[` and `\\` as a pattern, and would read other files or none',
      advice: 'rename it',
    });
  const files = own.map((file) => `${folder}/${file}`);
  const recorded = `.state/${environment}/${settingsFile}`;
  // Of an existing cluster there may be nothing to record.
  const isRecorded =
    settingsFile !== undefined && (ownsCluster || (await ifThere(stat(join(root, recorded)))) !== undefined);
  return [
    'environments/common.yaml',
    ...(top.includes(`${provider}.yaml`) ? [`environments/${provider}.yaml`] : []),
    ...(await includedFiles(root, files)),
    ...files,
    ...(isRecorded ? [recorded] : []),
  ];
}

/** The files that an environment's own files include; the last `include` counts, as everywhere in settings. */
async function includedFiles(root: string, own: readonly string[]): Promise<string[]> {
  let included: unknown = [];
  let by = '';
  for (const file of own) {
    const text = await readText(root, file);
    // Parsing takes longer than the rest.
    if (!/^["']?include\b/m.test(text)) continue;
    included = (await parse(text, file)).tree.include ?? included;
    by = file;
  }
  // The schema refuses others.
  const names = (Array.isArray(included) ? included : []).filter((name) => /^cloud\/[^/]+$/.test(name));
  if (names.length === 0) return [];
  const cloud = (await ifThere(readdir(join(root, 'environments/cloud')))) ?? [];
  const existing = cloud.map((name) => `cloud/${name}`);
  const missing = names.find((name) => !existing.includes(name));
  if (missing !== undefined)
    throw new TaskError({
      what: `environments/${missing} does not exist`,
      why: `\`include\` in ${by} names it`,
      advice: `name one of these: ${existing.join(', ')}`,
    });
  return names.map((name) => `environments/${name}`);
}

async function readText(root: string, file: string): Promise<string> {
  return readFile(resolve(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && file.startsWith('.state/')) return '';
    throw new TaskError({
      what: `cannot read ${file}`,
      why: error.message,
      advice: 'check the file and its mode',
    });
  });
}

export const readTexts = (root: string, files: readonly string[]): Promise<string[]> =>
  Promise.all(files.map((file) => readText(root, file)));

const parseAll = (files: readonly string[], texts: readonly string[]): Promise<Layer[]> =>
  Promise.all(files.map((file, index) => parse(texts[index] ?? '', file)));

async function parse(text: string, file: string): Promise<Layer> {
  const { value, lineOf } = parsed.get(text) ?? (await readStrictYaml(text, file));
  parsed.set(text, { value, lineOf });
  const tree = value ?? {};
  if (isTree(tree)) return { file, tree, lineOf };
  throw new TaskError({
    what: `${file} is not a map`,
    why: 'settings are maps of names',
    advice: 'see environments/common.yaml',
  });
}

/** Loads an environment's merged settings. Throws `TaskError` with file and setting if one is wrong. */
export async function loadSettings({
  name,
  provider,
  root = projectFolder,
}: Pick<Environment, 'name' | 'provider'> & { readonly root?: string }): Promise<Settings> {
  const files = await settingsFiles(name, provider, root);
  const texts = await readTexts(root, files);
  const key = JSON.stringify([provider, texts]);
  const known = checked.get(key);
  if (known !== undefined) return known;
  const layers = await parseAll(files, texts);
  const nested = layers.find(({ file, tree }) => /^environments\/cloud\//.test(file) && 'include' in tree);
  if (nested !== undefined)
    throw new TaskError({
      what: `${nested.file}:${nested.lineOf(['include'])} has the setting \`include\``,
      why: 'an included file cannot include others',
      advice: 'list all of them in the environment',
    });
  // Imported only when needed: few tasks use the schema.
  const { checkSettings } = await import('./check.ts');
  const settings = checkSettings(mergeLayers(layers.map(({ tree }) => tree)), layers, name, provider);
  checked.set(key, settings);
  return settings;
}

/** The first of these settings that a file sets, with the file and line that counts; undefined if none does. */
export async function placeOf(
  { name, provider, root }: Pick<Environment, 'name' | 'provider' | 'root'>,
  settings: readonly (readonly string[])[],
): Promise<string | undefined> {
  const files = await settingsFiles(name, provider, root);
  const layers = await parseAll(files, await readTexts(root, files));
  for (const path of settings) {
    const place = placeIn(layers, path);
    if (place !== undefined) return `\`${path.join('.')}\` in ${place}`;
  }
  return undefined;
}

/** The arguments with which helmfile reads settings files as `loadSettings` does. */
export async function stateValues(files: readonly string[], root: string): Promise<string[]> {
  const layers = await parseAll(files, await readTexts(root, files));
  return [
    ...files.flatMap((file) => ['--state-values-file', file]),
    ...digestWords(layers.map(({ tree }) => tree)),
  ];
}
