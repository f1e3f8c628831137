import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { merge, type Tree } from '../../lib/ground/tree.ts';
import { chartArguments } from '../../lib/helm/chart-places.ts';
import { environmentNames, loadSettings } from '../../lib/settings/settings.ts';
import { makeCertificate } from '../rig/certificate.ts';
import { type Ended, root, run, succeed, temporaryFolder, withKeyring } from './tools.ts';

/** A rendered Kubernetes object; tests cast what they read. */
export type KubernetesObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind; a wrong path fails the assertion on it
  readonly [field: string]: any;
};

export const chartNames = [
  'backend',
  'devops',
  'frontend',
  'metrics-server',
  'postgresql',
  'stand-in',
  'traefik',
  'vault',
] as const;
export type ChartName = (typeof chartNames)[number];

/** Required values of each chart, without a default. */
export const required: Readonly<Record<ChartName, Tree>> = {
  backend: {
    secrets: { managedBy: 'vault', vault: { path: 'app/database' } },
    front: { release: 'app-front' },
    database: { authority: '-----BEGIN CERTIFICATE-----\n' },
  },
  devops: {},
  frontend: {
    backend: { release: 'app-back' },
    cluster: { podCidr: '10.244.0.0/16' },
    ingress: { host: 'app-front.test.example', adminWhitelist: ['192.0.2.0/24'] },
  },
  'metrics-server': {},
  postgresql: {
    password: 'a password',
    tls: {
      certificate: '-----BEGIN CERTIFICATE-----\nof the server\n',
      key: '-----BEGIN PRIVATE KEY-----\n',
      authority: '-----BEGIN CERTIFICATE-----\n',
    },
  },
  'stand-in': {},
  traefik: {},
  vault: {},
};

/** Objects of a YAML stream; throws for a document that does not parse. */
export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

export { isTree, merge, type Tree } from '../../lib/ground/tree.ts';

export type RenderOptions = {
  /** Merged over `required`. */
  readonly values?: Tree;
  readonly release?: string;
  readonly namespace?: string;
  /** Instead of `required`. */
  readonly base?: Tree;
};

/** Runs `helm template` for one of our charts; does not throw if it fails. */
export async function tryRender(chart: ChartName, options: RenderOptions = {}): Promise<Ended> {
  const { release = 'app', namespace = 'here', values = {}, base = required[chart] } = options;
  const args = ['template', release, join('charts', chart), '--namespace', namespace, '--values', '-'];
  // JSON, since helm reads an unquoted yes as a boolean
  return run('helm', args, { stdin: JSON.stringify(merge(base, values)) });
}

/** The objects of a chart; throws helm's error if it fails. */
export async function render(chart: ChartName, options: RenderOptions = {}): Promise<KubernetesObject[]> {
  const ended = await tryRender(chart, options);
  if (ended.exitCode !== 0) throw new Error(`helm template ${chart}: ${ended.stderr}`);
  return objectsOf(ended.stdout);
}

/** The only object of a kind (and name); throws unless there is exactly one. */
export function only(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  const [object] = found;
  if (found.length === 1 && object) return object;
  const names = objects.map((other) => `${other.kind} ${other.metadata.name}`).join(', ');
  throw new Error(`Expected one ${kind} ${name ?? ''}, got ${found.length} among: ${names}`);
}

export const ofKind = (objects: readonly KubernetesObject[], kind: string): KubernetesObject[] =>
  objects.filter((object) => object.kind === kind);

/** Pod templates, with a name for messages. */
export const podTemplates = (objects: readonly KubernetesObject[]): [string, KubernetesObject['spec']][] =>
  objects
    .filter((object) => object.spec?.template)
    .map((object) => [`${object.kind} ${object.metadata.name}`, object.spec.template.spec]);

export async function readYaml(path: string): Promise<Tree> {
  return parse(await readFile(join(root, path), 'utf8')) as Tree;
}

export type Provider = 'embedded' | 'minikube' | 'existing';

/** Arguments of every helmfile call, as `helmfile.yaml` describes them. */
export async function helmfileArguments(provider: Provider, environment: string): Promise<string[]> {
  const files = ['common.yaml', `${provider}.yaml`, `${environment}/settings.yaml`];
  const charts = (await environmentNames()).includes(environment)
    ? await chartArguments(await loadSettings(environment, provider))
    : [];
  return [
    '--quiet',
    '--skip-deps',
    ...files.flatMap((file) => ['--state-values-file', `environments/${file}`]),
    '--state-values-set-string',
    `environment=${environment}`,
    ...charts,
  ];
}

/** A temporary state folder with what must exist before rendering. */
export async function stateArguments(): Promise<string[]> {
  const state = await temporaryFolder();
  const certificates = join(state, 'certificates');
  await mkdir(certificates);
  const { authority } = await makeCertificate(certificates, 'postgresql', ['DNS:postgresql']);
  await writeFile(join(certificates, 'ca.crt'), authority);
  return ['--state-values-set', `state=${state}`];
}

/** Text of every object by release, rendered by helmfile with the real key; third-party charts only if they are local. */
export async function renderEnvironment(
  provider: Provider,
  environment = 'development',
  folder = root,
): Promise<ReadonlyMap<string, string>> {
  const output = await temporaryFolder();
  const own = ['app=devops', 'app=postgresql', 'tier=apps'].flatMap((label) => ['--selector', label]);
  const args = [
    ...(await helmfileArguments(provider, environment)),
    ...(await stateArguments()),
    ...(provider === 'embedded' || environment === 'lab' ? [] : own),
    ...['template', '--output-dir', output, '--output-dir-template', '{{ .OutputDir }}/{{ .Release.Name }}'],
  ];
  await withKeyring((keyring) => succeed('helmfile', args, { environment: keyring, folder }));
  const rendered = new Map<string, string>();
  for (const release of await readdir(output)) {
    const files = await readdir(join(output, release), { recursive: true, withFileTypes: true });
    const texts = files
      .filter((file) => file.isFile())
      .map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8'));
    rendered.set(release, (await Promise.all(texts)).join('\n---\n'));
  }
  return rendered;
}
