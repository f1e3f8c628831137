import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** The tools of manifest.yaml, in its order: the one in which they are built. A test holds the two together. */
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

/** A package of npm with a prebuilt program. `{platform}` in its name is Node's platform and architecture. */
export type NpmRecipe = {
  readonly package: string;
  readonly version: string;
  /** The program's path inside the package. */
  readonly program: string;
  /** A JSON list of `{source, target}` inside the package: links that npm does not make. */
  readonly symlinks?: string;
  /** By platform; the installed package has to have it. A platform that is not listed is checked by npm alone. */
  readonly integrity?: { readonly [platform: string]: string };
};

export type GoRecipe = {
  /** Folder with go.mod and go.sum: under lib/tools/go, or absolute. */
  readonly module: string;
  readonly package: string;
  readonly ldflags?: string;
  /** Build tags, comma-separated. */
  readonly tags?: string;
  /** Whether the program needs a C compiler to be built. */
  readonly cgo?: boolean;
  /** What is copied out of the package's Go module, as `{name beside the program: folder in the module}`. */
  readonly folders?: { readonly [name: string]: string };
  /** What is copied out of other Go modules, which the go.mod requires, into folders of this name beside the program. */
  readonly files?: { readonly [name: string]: { readonly module: string; readonly path: string } };
};

export type ReleaseRecipe = {
  readonly host: string;
  readonly package: string;
  /** Node's names of the only operating systems that it is published for. */
  readonly systems?: readonly string[];
  /** The program's name in it, where it is not the tool's. */
  readonly program?: string;
};

/** Folders of a published archive (tar, packed or not). */
export type ArchiveRecipe = {
  readonly url: string;
  /** Checksum of the archive, 64 hexadecimal digits; without it nothing is taken. */
  readonly sha256?: string;
  /** `{name beside the program: folder in the archive}`. */
  readonly folders: { readonly [name: string]: string };
};

/** A program that is published in an image for Linux. */
export type ImageRecipe = {
  /** With the registry's host, as in `docker.io/hashicorp/vault`. */
  readonly repository: string;
  readonly tag: string;
  /** Of what the tag names, all platforms together: `sha256:…`. Without it nothing is taken. */
  readonly digest?: string;
  /** The program's path in the image, without a slash in front. */
  readonly program: string;
  readonly archive: ArchiveRecipe;
};

/** One tool of the manifest; manifest.yaml says what each field means. */
export type ToolEntry = {
  readonly name: string;
  readonly for: string;
  readonly version?: string;
  readonly minimum?: string;
  readonly kubernetes?: 'exact' | 'minor';
  readonly path?: false | { readonly programs: readonly string[]; readonly folders?: readonly string[] };
  readonly versionCommand: readonly string[];
  /** How its answer starts, where another program could be taken for it. */
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

/** Where the Go modules of the tools lie. */
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
