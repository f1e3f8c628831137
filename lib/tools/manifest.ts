import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** The tools of manifest.yaml, in the order in which they are built. A test compares the two. */
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
  /** The program's path inside the package. */
  readonly program: string;
  /** A JSON file in the package that lists `{source, target}`: links that npm does not create. */
  readonly symlinks?: string;
  /** Expected integrity by platform; npm alone checks a platform that is not listed. */
  readonly integrity?: { readonly [platform: string]: string };
};

export type GoRecipe = {
  /** Folder with go.mod and go.sum: under lib/tools/go, or absolute. */
  readonly module: string;
  readonly package: string;
  readonly ldflags?: string;
  /** Build tags, comma-separated. */
  readonly tags?: string;
  /** True if the build needs a C compiler. */
  readonly cgo?: boolean;
  /** Folders to copy from the package's Go module, as `{name beside the program: folder in the module}`. */
  readonly folders?: { readonly [name: string]: string };
  /** Files to copy from other required Go modules into folders of this name beside the program. */
  readonly files?: { readonly [name: string]: { readonly module: string; readonly path: string } };
};

export type ReleaseRecipe = {
  readonly host: string;
  readonly package: string;
  /** The only operating systems with a release, in Node's names. */
  readonly systems?: readonly string[];
  /** The program's name in the release, if it is not the tool's. */
  readonly program?: string;
};

/** Folders of a published tar archive, compressed or not. */
export type ArchiveRecipe = {
  readonly url: string;
  /** 64 hexadecimal digits; without it the archive is not used. */
  readonly sha256?: string;
  /** `{name beside the program: folder in the archive}`. */
  readonly folders: { readonly [name: string]: string };
};

/** A program published in an image for Linux. */
export type ImageRecipe = {
  /** With the registry's host, as in `docker.io/hashicorp/vault`. */
  readonly repository: string;
  readonly tag: string;
  /** Digest of the tag's list of platforms, `sha256:…`; without it the image is not used. */
  readonly digest?: string;
  /** The program's path in the image, without a leading slash. */
  readonly program: string;
  readonly archive: ArchiveRecipe;
};

/** One tool of the manifest; manifest.yaml explains each field. */
export type ToolEntry = {
  readonly name: string;
  readonly for: string;
  readonly version?: string;
  readonly minimum?: string;
  readonly kubernetes?: 'exact' | 'minor';
  readonly path?: false | { readonly programs: readonly string[]; readonly folders?: readonly string[] };
  readonly versionCommand: readonly string[];
  /** Start of its answer, if another program could be mistaken for it. */
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

/** The folder of the tools' Go modules. */
export const goModules = fileURLToPath(new URL('go/', import.meta.url));

export const manifestFile = fileURLToPath(new URL('manifest.yaml', import.meta.url));

let manifest: Promise<Manifest> | undefined;

/** The manifest; read once per process. */
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
