import { readdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { namesEnding } from './leftover-files.ts';
import { root } from './project.ts';
import { didYouMean, TaskError, UsageError } from './runner/runner.ts';

export type ProviderName = 'minikube' | 'embedded' | 'existing';
export const providerNames = ['minikube', 'embedded', 'existing'] as const satisfies readonly ProviderName[];

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

type Tree = { [key: string]: unknown };

/** Parsed files by their text: settings are read for every tool and task, and parsing takes longer than all the rest. */
const layers = new Map<string, unknown>();

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Maps merge, everything else is replaced: helmfile's own rule for `--state-values-file`. */
function merge(below: Tree, above: Tree): Tree {
  const merged: Tree = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const base = merged[key];
    merged[key] = isTree(base) && isTree(value) ? merge(base, value) : value;
  }
  return merged;
}

/** Names of the folders under `environments/`, each one an environment; hidden ones (`.idea`) are somebody else's. */
export async function environmentNames(): Promise<string[]> {
  const entries = await readdir(join(root, 'environments'), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
}

/** Names of the environments of which something was made, whether or not their folder is still there. */
async function madeEnvironments(): Promise<string[]> {
  const entries = await readdir(join(root, '.state'), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

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
  const wayOut = `\`destroy-environment --env ${name}\` removes what was made of it`;
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
  const top = await readdir(join(root, 'environments'));
  // Where the folder is gone, what was made of it is taken away with the layers that are left.
  const own = await readdir(join(root, 'environments', environment)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return [
    'environments/common.yaml',
    ...(top.includes(`${provider}.yaml`) ? [`environments/${provider}.yaml`] : []),
    ...namesEnding(own, '.yaml').map((file) => `environments/${environment}/${file}`),
    ...(provider === 'embedded' ? [`.state/${environment}/cluster.yaml`] : []),
  ];
}

/** The merged settings of an environment. Throws `TaskError` for YAML that cannot be read and for missing sections. */
export async function loadSettings(environment: string, provider: ProviderName): Promise<Settings> {
  const { parse } = await import('yaml');
  let settings: Tree = {};
  let known: Tree | undefined;
  for (const file of await settingsFiles(environment, provider)) {
    const text = await readFile(join(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && file.startsWith('.state/')) return '';
      throw new TaskError({
        what: `cannot read ${file}`,
        why: error.message,
        advice: 'check the file and its mode',
      });
    });
    let layer: unknown;
    try {
      layer = layers.get(text) ?? parse(text) ?? {};
      layers.set(text, layer);
    } catch (error) {
      throw new TaskError({
        what: `${file} is not valid YAML`,
        why: (error as Error).message.split('\n')[0] ?? '',
        advice: 'mend the file and run again; nothing was changed',
      });
    }
    if (!isTree(layer)) {
      throw new TaskError({
        what: `${file} holds no map`,
        why: 'settings are maps of names',
        advice: 'see environments/common.yaml',
      });
    }
    known ??= layer;
    checkKnown(layer, known, file);
    settings = merge(settings, layer);
  }
  check(settings, environment);
  return settings as Settings;
}

/** Values of another chart than the one of common.yaml. */
const otherValues = /^(?:charts\.[^.]+|ingress\.chart)\.values$/;
/** Below them names are free, or the chart's own schema says what there is. */
const freeNames = /^(?:releases\.[^.]+|ingress\.values|database\.(?:applications|issuers)|buildArguments)$/;

/** A misspelt setting would have no effect, and nobody would notice: all there are have their place in common.yaml, the lowest layer. */
function checkKnown(layer: Tree, known: Tree, file: string, above = ''): void {
  for (const [key, value] of Object.entries(layer)) {
    const path = `${above}${key}`;
    if (!(key in known) && !otherValues.test(path)) {
      throw new TaskError({
        what: `${file} has an unknown setting \`${path}\``,
        why: 'every setting has its default in environments/common.yaml',
        advice: didYouMean(key, Object.keys(known), 'take it out, or declare it there'),
      });
    }
    const below = known[key];
    if (isTree(value) && isTree(below) && !freeNames.test(path)) checkKnown(value, below, file, `${path}.`);
  }
}

/** A password itself has no place in settings: `sops://FILE#/KEY`, or empty. */
const isRoles = (value: unknown): boolean =>
  isTree(value) &&
  Object.values(value).every(
    (role) => role === null || (isTree(role) && /^(sops:\/\/[^#]+#\/.+)?$/.test(String(role.password))),
  );

const isText = (form: RegExp) => (value: unknown) => typeof value === 'string' && form.test(value);

const isListOf = (form: RegExp) => (value: unknown) =>
  Array.isArray(value) && new Set(value).size === value.length && value.every(isText(form));

/** Options of `minikube start` that the tasks give themselves, or that would make it something else than a start. */
const ownOptions =
  'profile|driver|vm-driver|nodes|cpus|memory|kubernetes-version|cni|container-runtime|base-image|wait|interactive|dry-run|download-only|help|output';
const startOption = new RegExp(`^--(?!(?:${ownOptions})(?:=|$))[a-z][a-z0-9-]*(?:=.*)?$`);

/** An image's name, without tag and digest (https://github.com/distribution/reference). */
const imageName = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+)?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const imageReference = new RegExp(
  `^(?:${imageName.source.slice(1, -1)}(?::[\\w.-]+)?(?:@sha256:[0-9a-f]{64})?)?$`,
);

/** A range of addresses, such as `10.244.0.0/16`. */
const isRange = (value: unknown): boolean => {
  const [address = '', length = ''] = String(value).split('/');
  const bits = { 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return /^\d+$/.test(length) && Number(length) <= bits;
};

type Rule = readonly [path: string, rule: string, holds: (value: unknown) => boolean];

const rules: readonly Rule[] = [
  ['domain', 'a DNS name', (value) => typeof value === 'string' && /^[a-z0-9.-]+$/.test(value)],
  ['production', '`true` or `false`', (value) => typeof value === 'boolean'],
  [
    'cluster.provider',
    '`minikube`, `embedded`, `existing` or empty',
    (value) => ['', ...providerNames].includes(String(value)),
  ],
  ['sops.key', 'a path', (value) => typeof value === 'string' && value !== ''],
  ['sops.allowDevelopmentKeys', '`true` or `false`', (value) => typeof value === 'boolean'],
  [
    'cluster.kubernetesVersion',
    'a version such as `v1.31.0`',
    (value) => /^v\d+\.\d+\.\d+$/.test(String(value)),
  ],
  ['cluster.nodes', 'a whole number from 1 up', (value) => Number.isInteger(value) && Number(value) >= 1],
  ['cluster.cpus', 'a whole number from 1 up', (value) => Number.isInteger(value) && Number(value) >= 1],
  [
    'cluster.memoryMB',
    'a whole number of MB from 1 up',
    (value) => Number.isInteger(value) && Number(value) >= 1,
  ],
  ['cluster.cni', 'a network that minikube knows, or a manifest', isText(/^[\w./][^\n]*$/)],
  ['cluster.podCidr', 'a range of addresses, such as `10.244.0.0/16`', isRange],
  ['cluster.driver', 'a driver of minikube', isText(/^[a-z][a-z0-9]*$/)],
  [
    'cluster.containerRuntime',
    '`docker`, `containerd`, `cri-o` or empty',
    isText(/^(?:docker|containerd|cri-o)?$/),
  ],
  ['cluster.baseImage', 'an image, or empty', isText(imageReference)],
  [
    'cluster.startArguments',
    'a list of options `--name` or `--name=value`, none of which another setting gives',
    isListOf(startOption),
  ],
  ['cluster.addons', 'a list of different names of addons', isListOf(/^[a-z0-9][a-z0-9-]*$/)],
  ['cluster.storageClass', 'the name of a class, or empty', isText(/^(?:[a-z0-9][a-z0-9.-]*)?$/)],
  ['cluster.context', 'the name of a context, or empty', (value) => typeof value === 'string'],
  [
    'ingress.controller',
    '`traefik`, `nginx` or `none`',
    (value) => ['traefik', 'nginx', 'none'].includes(String(value)),
  ],
  ['ingress.kind', '`ingress` or `httproute`', (value) => ['ingress', 'httproute'].includes(String(value))],
  [
    'ingress.address',
    'a host or host:port, or empty',
    (value) => typeof value === 'string' && /^(?:[\w.-]+(?::\d{1,5})?)?$/.test(value),
  ],
  ['ingress.tls.enabled', '`true` or `false`', (value) => typeof value === 'boolean'],
  ['ingress.tls.port', 'a port number', (value) => Number.isInteger(value)],
  [
    'ingress.chart.chart',
    'the name or folder of a chart',
    (value) => typeof value === 'string' && value !== '',
  ],
  ['database.host', 'a host name', (value) => typeof value === 'string' && value !== ''],
  ['database.port', 'a port number', (value) => Number.isInteger(value)],
  ['database.user', 'a name', (value) => typeof value === 'string' && value !== ''],
  ['database.applications', 'a map of roles with a `password`', isRoles],
  ['database.issuers', 'a map of roles with a `password`', isRoles],
  ['vault.address', 'a URL', (value) => /^https?:\/\//.test(String(value))],
  [
    'buildArguments',
    'a map of names and texts',
    (value) =>
      isTree(value) &&
      Object.entries(value).every(([name, text]) => /^[A-Za-z_]\w*$/.test(name) && typeof text === 'string'),
  ],
];

/** A tag that YAML takes for a number is another one for helmfile than here: `1.10`, `010`. */
const imageRules = (images: unknown): Rule[] =>
  Object.keys(isTree(images) ? images : {}).flatMap((name): Rule[] => [
    [`images.${name}.repository`, 'the name of an image, without its tag', isText(imageName)],
    [`images.${name}.tag`, 'a tag as text, such as "1.2.0"', isText(/^\w[\w.-]{0,127}$/)],
    [`images.${name}.digest`, 'sha256:…, or empty', isText(/^(?:sha256:[0-9a-f]{64})?$/)],
    [
      `images.${name}.build`,
      'a folder of the project with a Dockerfile, or empty',
      (value) => typeof value === 'string' && !/^\/|(?:^|\/)\.\.(?:\/|$)/.test(value),
    ],
  ]);

function check(settings: Tree, environment: string): void {
  for (const [path, rule, holds] of [...rules, ...imageRules(settings.images)]) {
    const value = path
      .split('.')
      .reduce<unknown>((tree, key) => (isTree(tree) ? tree[key] : undefined), settings);
    if (holds(value)) continue;
    throw new TaskError({
      what: `Expected setting \`${path}\` of environment \`${environment}\` to be ${rule}, got \`${JSON.stringify(value)}\``,
      why: 'the tasks need it',
      advice: `set it in environments/${environment}/ or environments/common.yaml`,
    });
  }
}
