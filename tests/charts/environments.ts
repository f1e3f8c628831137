import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProviderName } from '../../lib/cluster/providers.ts';
import { helmfileCommand } from '../../lib/helm/helmfile.ts';
import type { Ended } from '../../lib/runner/tests/rig/ended.ts';
import { environmentOf, writeWhole } from '../../lib/settings/environment.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { makeCertificate } from '../rig/certificate.ts';
import { copyOf } from '../rig/project-copy.ts';
import { type KubernetesObject, objectsOf } from './render.ts';
import { keyring, once, run, temporaryFolder } from './tools.ts';

/** Everything that can be deployed, by provider and environment. */
export const environments = [
  ['embedded', 'development'],
  ['minikube', 'development'],
  ['existing', 'development'],
  ['existing', 'lab'],
  ['existing', 'production'],
] as const satisfies readonly (readonly [ProviderName, string])[];

/** True when no chart comes from a repository, so that all releases can be rendered. */
export const isWhole = (provider: ProviderName, environment: string): boolean =>
  provider === 'embedded' || environment === 'lab';

/** A copy of the files that helmfile reads, for tests that change them. */
export function copyOfReleases(): string {
  return copyOf('charts', 'environments', 'helmfile.yaml', 'vault', '.sops.yaml').folder;
}

/** Production uses the development secrets in it, since the repository has none for it. */
const commonFolder = once(async () => {
  const folder = copyOfReleases();
  const secrets = (name: string) => join(folder, 'environments', name, 'secrets');
  await cp(secrets('development'), secrets('production'), { recursive: true });
  return folder;
});

/** A state folder with what must exist before rendering. */
const stateFolder = once(async () => {
  const folder = temporaryFolder();
  const certificates = join(folder, 'certificates');
  await mkdir(certificates);
  const { authority } = await makeCertificate(certificates, 'postgresql', ['DNS:postgresql']);
  await writeFile(join(certificates, 'ca.crt'), authority);
  await makeCertificate(certificates, 'vault', ['DNS:vault']);
  return folder;
});

type HelmfileOptions = {
  /** Default: a copy of the project's files. */
  readonly folder?: string | undefined;
  /** More settings as YAML, above all others. */
  readonly settings?: string;
  /** Default: all releases that can be rendered. */
  readonly selectors?: readonly string[] | undefined;
};

/** Runs helmfile for an environment as the tasks do, with the development key. */
export async function helmfile(
  provider: ProviderName,
  name: string,
  words: readonly string[],
  options: HelmfileOptions = {},
): Promise<Ended> {
  const own = isWhole(provider, name) ? [] : ['app=devops', 'app=postgresql', 'tier=apps'];
  const { folder = await commonFolder(), settings = '', selectors = own } = options;
  const environment = environmentOf({ env: name, provider, context: 'no-context' }, folder);
  const target = { environment, settings: await loadSettings(environment) };
  // Nothing is recorded about a cluster.
  await mkdir(environment.state, { recursive: true });
  await writeFile(join(environment.state, 'cluster.yaml'), '');
  const more = join(temporaryFolder(), 'more.yaml');
  await writeFile(more, settings);
  const [program = '', ...args] = [
    ...(await helmfileCommand(target)),
    ...['--skip-deps', '--state-values-file', more, '--state-values-set', `state=${await stateFolder()}`],
    ...selectors.flatMap((label) => ['--selector', label]),
    ...words,
  ];
  return run(program, args, { environment: await keyring(), folder });
}

export async function helmfileText(...call: Parameters<typeof helmfile>): Promise<string> {
  const { exitCode, stdout, stderr } = await helmfile(...call);
  if (exitCode !== 0) throw new Error(`helmfile ended with ${exitCode}:\n${stderr}`);
  return stdout;
}

type Where = Pick<HelmfileOptions, 'folder'> & {
  readonly provider?: ProviderName;
  readonly environment?: string;
};

/** Objects of an environment with more settings; default: all of `development` on the embedded cluster. */
export async function objectsWith(
  settings: string,
  selectors?: readonly string[],
  { provider = 'embedded', environment = 'development', folder }: Where = {},
): Promise<KubernetesObject[]> {
  const options = { settings, selectors, folder };
  return objectsOf(await helmfileText(provider, environment, ['template'], options));
}

type Texts = ReadonlyMap<string, string>;
const rendered = new Map<string, Promise<Texts>>();

/** Text of all objects by release, as helmfile renders them; third-party charts only if they are local. */
export function renderEnvironment(provider: ProviderName, environment = 'development'): Promise<Texts> {
  const key = `${environment}-${provider}`;
  const found = rendered.get(key) ?? renderOnce(provider, environment, key);
  rendered.set(key, found);
  return found;
}

/** Renders them once for all files of a test run, which share a folder; a file run alone renders for itself. */
async function renderOnce(provider: ProviderName, environment: string, key: string): Promise<Texts> {
  const path = join(process.env.TEST_RENDERED ?? temporaryFolder(), `${key}.json`);
  const stored = await readFile(path, 'utf8').catch(() => undefined);
  if (stored !== undefined) return new Map(Object.entries(JSON.parse(stored)));
  const output = temporaryFolder();
  const folders = ['--output-dir', output, '--output-dir-template', '{{ .OutputDir }}/{{ .Release.Name }}'];
  await helmfileText(provider, environment, ['template', ...folders]);
  const texts = new Map<string, string>();
  for (const release of await readdir(output)) {
    const files = await readdir(join(output, release), { recursive: true, withFileTypes: true });
    const contents = files
      .filter((file) => file.isFile())
      .map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8'));
    texts.set(release, (await Promise.all(contents)).join('\n---\n'));
  }
  await writeWhole(path, JSON.stringify(Object.fromEntries(texts)));
  return texts;
}

export const environmentObjects = async (
  provider: ProviderName,
  environment?: string,
): Promise<KubernetesObject[]> =>
  [...(await renderEnvironment(provider, environment)).values()].flatMap(objectsOf);

export const releaseObjects = async (
  release: string,
  provider: ProviderName,
  environment?: string,
): Promise<KubernetesObject[]> =>
  objectsOf((await renderEnvironment(provider, environment)).get(release) ?? '');
