import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { type ProviderName, providerOf } from '../cluster/providers.ts';
import { namesEnding } from '../ground/file-names.ts';
import { ifThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { readStrictYaml, type StrictYaml } from '../ground/strict-yaml.ts';
import { isTree, merge, type Tree, valueAt } from '../ground/tree.ts';
import type { Environment, Settings } from './context.ts';

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
export const environmentNames = async (root: string): Promise<string[]> =>
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
 * Paths of an environment's settings files relative to the project, lowest layer first. The provider writes the last
 * one (addresses and ports); of a cluster that the tasks create, it is listed even before it exists.
 */
export async function settingsFiles(
  environment: string,
  provider: ProviderName,
  root: string,
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

export async function readText(root: string, file: string): Promise<string> {
  return readFile(resolve(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && file.startsWith('.state/')) return '';
    throw new TaskError({
      what: `cannot read ${file}`,
      why: error.message,
      advice: 'check the file and its mode',
    });
  });
}

const readLayers = (files: readonly string[], root: string): Promise<Layer[]> =>
  Promise.all(files.map(async (file) => parse(await readText(root, file), file)));

async function parse(text: string, file: string): Promise<Layer> {
  const rewrite = `delete the file; ${taskCommand('create-k8s')} writes it again`;
  const toFix = file.startsWith('.state/') ? rewrite : undefined;
  const { value, lineOf } = parsed.get(text) ?? (await readStrictYaml(text, file, toFix));
  parsed.set(text, { value, lineOf });
  const tree = value ?? {};
  if (isTree(tree)) return { file, text, tree, lineOf };
  throw new TaskError({
    what: `${file} is not a map`,
    why: 'settings are maps of names',
    advice: 'see environments/common.yaml',
  });
}

type Place = Pick<Environment, 'name' | 'provider' | 'root'>;

/** Loads an environment's merged settings. Throws `TaskError` with file and setting if one is wrong. */
export async function loadSettings({ name, provider, root }: Place): Promise<Settings> {
  const layers = await readLayers(await settingsFiles(name, provider, root), root);
  const key = JSON.stringify([provider, layers.map(({ text }) => text)]);
  const known = checked.get(key);
  if (known !== undefined) return known;
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
  { name, provider, root }: Place,
  settings: readonly (readonly string[])[],
): Promise<string | undefined> {
  const layers = await readLayers(await settingsFiles(name, provider, root), root);
  for (const path of settings) {
    const place = placeIn(layers, path);
    if (place !== undefined) return `\`${path.join('.')}\` in ${place}`;
  }
  return undefined;
}

/** The arguments with which helmfile reads settings files as `loadSettings` does. */
export async function stateValues(files: readonly string[], root: string): Promise<string[]> {
  const layers = await readLayers(files, root);
  return [
    ...files.flatMap((file) => ['--state-values-file', file]),
    ...digestWords(layers.map(({ tree }) => tree)),
  ];
}

/** A settings file with each setting's line. */
export type Layer = {
  readonly file: string;
  readonly text: string;
  readonly tree: Tree;
  readonly lineOf: (path: readonly string[]) => number;
};

/** File and line of the highest layer that has a setting; undefined if none has. */
export function placeIn(layers: readonly Layer[], path: readonly string[]): string | undefined {
  const layer = layers.findLast(({ tree }) => valueAt(tree, path) !== undefined);
  return layer && `${layer.file}:${layer.lineOf(path)}`;
}

/**
 * Merges settings, lowest layer first. A digest is that of one image: a layer that names another repository or tag
 * without a digest of its own leaves none.
 */
export const mergeLayers = (layers: readonly Tree[]): Tree =>
  layers.reduce((below, above) => merge(merge(below, above), withoutDigests(below, above)));

function withoutDigests(below: Tree, above: Tree): Tree {
  const images = isTree(above.images) ? above.images : {};
  const replaced = Object.entries(images).filter(
    ([name, image]) =>
      isTree(image) &&
      image.digest === undefined &&
      ['repository', 'tag'].some(
        (key) => image[key] !== undefined && image[key] !== valueAt(below, ['images', name, key]),
      ),
  );
  return replaced.length === 0
    ? {}
    : { images: Object.fromEntries(replaced.map(([name]) => [name, { digest: '' }])) };
}

/** The arguments with which helmfile, which merges the same layers, drops the same digests. */
function digestWords(layers: readonly Tree[]): string[] {
  const plain = layers.reduce(merge);
  const images = mergeLayers(layers).images;
  const dropped = Object.keys(isTree(images) ? images : {}).filter(
    (name) => valueAt(images, [name, 'digest']) !== valueAt(plain.images, [name, 'digest']),
  );
  // `--state-values-set-string` ignores an empty text.
  return dropped.flatMap((name) => ['--state-values-set', `images.${name}.digest=`]);
}

/**
 * The values of a release in the settings, merged as in environments/values.yaml.gotmpl: those of its chart, then its
 * own.
 */
export function releaseValues(
  settings: Settings,
  { name, chart }: { readonly name: string; readonly chart: string },
): Tree {
  const releases: { readonly [name: string]: Tree | undefined } = settings.releases;
  return merge(releases[basename(chart)] ?? {}, releases[name] ?? {});
}
