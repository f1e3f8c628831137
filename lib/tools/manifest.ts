import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

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
  'gpg',
  'openssl',
  'minikube',
  'docker',
  'go',
  'k9s',
  'kubeconform',
  'actionlint',
  'kube-apiserver-newest',
] as const;

export type ToolName = (typeof toolNames)[number];

/** An npm package with a prebuilt program. `{platform}` in its name is Node's platform and architecture. */
export type NpmRecipe = {
  readonly package: string;
  readonly version: string;
  /** Path of the program in the package. */
  readonly program: string;
  /** JSON file in the package that lists `{source, target}`: links that npm does not create. */
  readonly symlinks?: string;
  /** Expected integrity by platform; for others, only npm's own check applies. */
  readonly integrity?: { readonly [platform: string]: string };
};

export type GoRecipe = {
  /** Folder of go.mod and go.sum: absolute, or under lib/tools/go. */
  readonly module: string;
  readonly package: string;
  readonly ldflags?: string;
  /** Build tags, comma-separated. */
  readonly tags?: string;
  /** True if the build needs a C compiler. */
  readonly cgo?: boolean;
  /** Folders of the package's Go module to copy: `{name beside the program: folder in the module}`. */
  readonly folders?: { readonly [name: string]: string };
  /** Files of required Go modules to copy, by the name of their folder beside the program. */
  readonly files?: { readonly [name: string]: { readonly module: string; readonly path: string } };
};

export type ReleaseRecipe = {
  readonly host: string;
  readonly package: string;
  /** Operating systems with a release, in Node's names; default: all. */
  readonly systems?: readonly string[];
  /** Name of the program in the release, if different. */
  readonly program?: string;
};

/** Folders of a published tar archive, which may be compressed. */
export type ArchiveRecipe = {
  readonly url: string;
  /** 64 hexadecimal digits; required to use the archive. */
  readonly sha256?: string;
  /** `{name beside the program: folder in the archive}`. */
  readonly folders: { readonly [name: string]: string };
};

/** A program published in an image for Linux. */
export type ImageRecipe = {
  /** Includes the registry's host: `docker.io/hashicorp/vault`. */
  readonly repository: string;
  readonly tag: string;
  /** Digest of the tag's list of platforms, `sha256:…`; required to use the image. */
  readonly digest?: string;
  /** Path of the program in the image, without a leading slash. */
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
  const { mise, tools } = value as {
    mise: Manifest['mise'];
    tools: Record<ToolName, Omit<ToolEntry, 'name'>>;
  };
  const entries = Object.entries(tools).map(([name, entry]) => [name, { ...entry, name }]);
  return { mise, tools: Object.fromEntries(entries) as Manifest['tools'] };
}
