import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere } from '../ground/if-there.ts';
import { namesEnding } from '../ground/leftover-files.ts';
import { root } from '../ground/project.ts';
import { readStrictYaml, type StrictYaml } from '../ground/strict-yaml.ts';
import { isTree, merge, type Tree, valueAt } from '../ground/tree.ts';
import { didYouMean, quote, TaskError, UsageError } from '../runner/runner.ts';
import type { ProviderName } from './provider-names.ts';
import { settingsRules } from './rules.ts';
import { freeNames, otherValues } from './shape.ts';

export type { ProviderName } from './provider-names.ts';

export type ChartSetting = { readonly chart: string; readonly version?: string };

export type ImageSetting = {
  readonly repository: string;
  readonly tag: string;
  /** `sha256:…`, or empty. */
  readonly digest: string;
  /** Folder of the project that it is built from; empty: somebody else builds it. */
  readonly build: string;
};

/** An environment takes a role out by `null`. */
export type DatabaseRoles = { readonly [name: string]: { readonly password: string } | null };

/** The part of the settings that the tasks themselves read; helmfile reads the same files. */
export type Settings = {
  readonly domain: string;
  /** Whether people depend on the environment. */
  readonly production: boolean;
  readonly sops: {
    /** Path of the operational key with its private half. */
    readonly key: string;
    readonly allowDevelopmentKeys: boolean;
  };
  readonly cluster: {
    /** The only one that the environment may be made with; empty: any. */
    readonly provider: ProviderName | '';
    readonly kubernetesVersion: string;
    readonly nodes: number;
    readonly cpus: number;
    /** MB, as minikube counts them. */
    readonly memoryMB: number;
    readonly cni: string;
    readonly podCidr: string;
    /** This and the next four: only for minikube. */
    readonly driver: string;
    /** Empty: minikube's default; so for `baseImage`. */
    readonly containerRuntime: string;
    readonly baseImage: string;
    /** Further words of `minikube start`. */
    readonly startArguments: readonly string[];
    /** Enabled in this order; with the ingress controller `nginx`, `ingress` comes first. */
    readonly addons: readonly string[];
    readonly storageClass: string;
    readonly context: string;
  };
  readonly ingress: {
    readonly controller: 'traefik' | 'nginx' | 'none';
    readonly kind: 'ingress' | 'httproute';
    /** Of the controller's pods; empty: where its own chart puts them. */
    readonly namespace: string;
    /** Where test-ingress calls, as `host` or `host:port`; empty: where the controller's Service says. */
    readonly address: string;
    readonly tls: {
      readonly enabled: boolean;
      readonly existingSecret: string;
      readonly clusterIssuer: string;
      readonly port: number;
    };
    /** Of the controller traefik; `repository` and `version` are empty for a local chart. */
    readonly chart: ChartSetting & { readonly repository: string; readonly values?: unknown };
    readonly values: unknown;
  };
  readonly database: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly name: string;
    /** A role and a database by name; the password of the role as `sops://FILE#/KEY`, or empty. */
    readonly applications: DatabaseRoles;
    /** Roles that make logins for applications whose password is empty. */
    readonly issuers: DatabaseRoles;
  };
  readonly vault: { readonly address: string; readonly auditLog: string; readonly databaseAddress: string };
  readonly charts: { readonly [name: string]: ChartSetting };
  readonly images: { readonly backendVerification: ImageSetting; readonly [name: string]: ImageSetting };
  /** What every `docker build` is given by `--build-arg`. */
  readonly buildArguments: { readonly [name: string]: string };
  /** Values of the releases by name. */
  readonly releases: { readonly [name: string]: unknown };
  readonly [section: string]: unknown;
};

/** Read files by their text: settings are read for every tool and task, and parsing takes longer than all the rest. */
const read = new Map<string, StrictYaml>();

/** Names of the folders in one, sorted, and of links to folders. None where there is no such folder. */
async function foldersIn(path: string): Promise<string[]> {
  const names = (await ifThere(readdir(join(root, path)))) ?? [];
  // A link may lead nowhere, or to itself.
  const found = await Promise.all(names.map((name) => stat(join(root, path, name)).catch(() => undefined)));
  return names.filter((_, index) => found[index]?.isDirectory()).sort();
}

/** Names of the folders under `environments/`, each one an environment; hidden ones (`.idea`) are somebody else's. */
export const environmentNames = async (): Promise<string[]> =>
  (await foldersIn('environments')).filter((name) => !name.startsWith('.'));

/** Names of the environments of which something was made, whether or not their folder is still there. */
const madeEnvironments = (): Promise<string[]> => foldersIn('.state');

/**
 * Letters of the longest name: the longest thing that is made of it is a node of minikube, `<name>-<8 hex digits>-m02`, which
 * has to be a DNS label of at most 63 letters (RFC 1123).
 */
const longestName = 50;

/**
 * Throws a `UsageError` that names the rule for an environment's name, or the environments there are. With `made` it is
 * enough that something was made of the environment: what takes that away needs no folder under environments/.
 */
export async function checkEnvironment(name: string, enough: 'folder' | 'made' = 'folder'): Promise<void> {
  const made = (await madeEnvironments()).includes(name);
  if (made && enough === 'made') return;
  const wayOut = `\`destroy-environment --env ${quote(name)}\` removes what was made of it`;
  if (name.length > longestName || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
    throw new UsageError({
      what: `\`${name}\` cannot be the name of an environment`,
      why: `hosts, nodes and the cluster are named after it: at most ${longestName} of a-z, 0-9 and \`-\`, which is neither the first nor the last`,
      advice: made ? wayOut : 'rename its folder under environments/',
    });
  }
  const names = await environmentNames();
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
export async function settingsFiles(environment: string, provider: ProviderName): Promise<string[]> {
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
    ...(provider === 'embedded' ? [`.state/${environment}/cluster.yaml`] : []),
  ];
}

type Layer = { readonly file: string; readonly tree: Tree; readonly lineOf: StrictYaml['lineOf'] };

async function readLayer(file: string): Promise<Layer> {
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
export async function loadSettings(environment: string, provider: ProviderName): Promise<Settings> {
  const layers = await Promise.all((await settingsFiles(environment, provider)).map(readLayer));
  const known = layers[0]?.tree ?? {};
  for (const layer of layers) checkKnown(layer, known);
  const settings = layers.map(({ tree }) => tree).reduce(merge);
  check(settings, known, layers, environment, provider);
  return settings as Settings;
}

/** A misspelt setting would have no effect, and nobody would notice: all there are have their place in common.yaml, the lowest layer. */
function checkKnown(layer: Layer, known: Tree, above: readonly string[] = []): void {
  const tree = valueAt(layer.tree, above) as Tree;
  for (const [key, value] of Object.entries(tree)) {
    const path = [...above, key];
    const name = path.join('.');
    if (!Object.hasOwn(known, key) && !otherValues.test(name)) {
      throw new TaskError({
        what: `${layer.file}:${layer.lineOf(path)} has an unknown setting \`${name}\``,
        why: 'every setting has its default in environments/common.yaml',
        advice: didYouMean(key, Object.keys(known), 'take it out, or declare it there'),
      });
    }
    const below = known[key];
    if (isTree(value) && isTree(below) && !freeNames.test(name)) checkKnown(layer, below, path);
  }
}

/** Throws `TaskError` for the first rule that does not hold, with the place where the value comes from. */
function check(
  settings: Tree,
  known: Tree,
  layers: readonly Layer[],
  environment: string,
  provider: ProviderName,
): void {
  for (const [path, rule, holds] of settingsRules(settings, known, provider)) {
    const value = valueAt(settings, path);
    if (holds(value)) continue;
    const layer = layers.findLast(({ tree }) => valueAt(tree, path) !== undefined);
    const place = layer && `${layer.file}:${layer.lineOf(path)}`;
    const isUnquoted = ['number', 'boolean'].includes(typeof value) && holds(String(value));
    throw new TaskError({
      what: `Expected setting \`${path.join('.')}\` of environment \`${environment}\` to be ${rule}, got ${shown(path, value)}`,
      why: place === undefined ? 'no file sets it' : `${place} sets it`,
      advice: isUnquoted
        ? `write it in quotes: "${value}"`
        : `correct it in ${place ?? `environments/${environment}/`}`,
    });
  }
}

/** A password that somebody wrote where its reference belongs is not shown, nor a map that holds one. */
function shown(path: readonly string[], value: unknown): string {
  const isPlain = (key: string, found: unknown = ''): boolean =>
    key === 'password' && found !== null && !(typeof found === 'string' && /^(?:sops:\/\/|$)/.test(found));
  if (path.some((key) => isPlain(key, value))) return 'another text';
  return `\`${JSON.stringify(value, (key, found) => (isPlain(key, found) ? '…' : found))}\``;
}
