import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { merge, type Tree } from '../../lib/ground/tree.ts';
import type { Ended } from '../../lib/runner/tests/rig/ended.ts';
import { root, run, temporaryFolder } from './tools.ts';

/** A rendered Kubernetes object; tests cast what they read. */
export type KubernetesObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** Those of the API server. */
    readonly uid?: string;
    readonly deletionTimestamp?: string;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind; a wrong path fails the assertion on it
  readonly [field: string]: any;
};

/** Required values of each chart, without a default. */
export const required = {
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
} satisfies { [chart: string]: Tree };

export type ChartName = keyof typeof required;
export const chartNames = Object.keys(required) as ChartName[];

/** What a chart to copy adds to its pods. */
export const podValues = {
  imagePullSecrets: [{ name: 'registry' }],
  nodeSelector: { pool: 'apps' },
  tolerations: [
    { key: 'pool', operator: 'Equal', value: 'apps', effect: 'NoExecute', tolerationSeconds: 60 },
  ],
  podLabels: { 'azure.workload.identity/use': 'true' },
  podAnnotations: { note: 'none' },
  serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/app' } },
  resources: { requests: { 'ephemeral-storage': '64Mi' }, limits: { 'ephemeral-storage': '128Mi' } },
} satisfies Tree;

/** What it adds to their container. */
export const variables = {
  env: [
    { name: 'MODE', value: 'fast' },
    { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
  ],
  envFrom: [
    { prefix: 'A_', configMapRef: { name: 'one', optional: true } },
    { secretRef: { name: 'two', optional: true } },
  ],
} satisfies Tree;

/** Objects of a YAML stream; throws for a document that does not parse. */
export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

export { isTree, merge, type Tree } from '../../lib/ground/tree.ts';

/** Values are merged over `required`. */
type RenderOptions = { readonly values?: Tree; readonly release?: string; readonly namespace?: string };

const started = new Map<string, Promise<Ended>>();

/** Runs `helm template` for one of our charts, once for the same options; does not throw if it fails. */
function tryRender(chart: ChartName, options: RenderOptions = {}): Promise<Ended> {
  const { release = 'app', namespace = 'here', values = {} } = options;
  const args = ['template', release, join('charts', chart), '--namespace', namespace, '--values', '-'];
  // JSON, since helm reads an unquoted yes as a boolean
  const stdin = JSON.stringify(merge(required[chart], values));
  const key = [...args, stdin].join(' ');
  const ended = started.get(key) ?? run('helm', args, { stdin });
  started.set(key, ended);
  return ended;
}

export async function render(chart: ChartName, options: RenderOptions = {}): Promise<KubernetesObject[]> {
  const ended = await tryRender(chart, options);
  if (ended.exitCode !== 0) throw new Error(`helm template ${chart}: ${ended.stderr}`);
  return objectsOf(ended.stdout);
}

export async function refuses(chart: ChartName, values: Tree, why: string | RegExp): Promise<void> {
  const { exitCode, stderr } = await tryRender(chart, { values });
  assert.is(exitCode, 1, String(why));
  assert.match(stderr, why);
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

/** The template of a workload's pods, also of a CronJob's; undefined for other objects. */
export const podTemplateOf = ({ spec }: KubernetesObject) =>
  spec?.template?.spec ? spec.template : spec?.jobTemplate?.spec.template;

/** Pods of all workloads, with a name for messages. */
export const podTemplates = (objects: readonly KubernetesObject[]): [string, KubernetesObject['spec']][] =>
  objects
    .filter(podTemplateOf)
    .map((object) => [`${object.kind} ${object.metadata.name}`, podTemplateOf(object).spec]);

export const podOf = (objects: readonly KubernetesObject[], kind = 'Deployment', name?: string) =>
  podTemplateOf(only(objects, kind, name)).spec;

export const containerOf = (...workload: Parameters<typeof podOf>) => podOf(...workload).containers[0];

export async function readYaml(path: string): Promise<Tree> {
  return parse(await readFile(join(root, path), 'utf8')) as Tree;
}

/** Text of a chart's objects, or helm's error. */
export type Rendered = { readonly text: string; readonly error: string | undefined };

/** Copies a chart into one that renders it several times. */
async function copyChart(chart: ChartName, folder: string): Promise<void> {
  await cp(join(root, 'charts', chart), folder, { recursive: true });
  // helm passes the values that all parts share to every part
  const schema = (await readYaml(`charts/${chart}/values.schema.json`)) as { properties: Tree };
  const properties = { ...schema.properties, global: {} };
  await writeFile(join(folder, 'values.schema.json'), JSON.stringify({ ...schema, properties }));
}

/** Texts of `helm template` by the name of the part. */
function textsOf(stdout: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const text of stdout.split(/^---\n(?=# Source: )/m)) {
    const [, name] = /^# Source: whole\/charts\/(part\d+)\//.exec(text) ?? [];
    if (name) texts.set(name, `${texts.get(name) ?? ''}---\n${text.trimEnd()}\n`);
  }
  return texts;
}

/** helm's errors by the name of the part: those of all schemas, or that of one template. */
function errorsOf(stderr: string): [name: string, error: string][] {
  const wrong = [...stderr.matchAll(/^(part\d+):\n((?:[- ].*\n?)+)/gm)];
  if (wrong.length > 0) return wrong.map(([, name = '', error = '']) => [name, error]);
  const [, name] = /whole\/charts\/(part\d+)\//.exec(stderr) ?? [];
  if (name === undefined) throw new Error(stderr);
  return [[name, stderr]];
}

/**
 * Renders charts with complete values by as few calls of helm as possible, since starting it takes ten times as long as
 * rendering: all are parts of one chart, each under a name of its own, which is replaced in what is returned.
 */
export async function renderEach(
  parts: readonly { readonly chart: ChartName; readonly values: Tree }[],
  { release = 'app', namespace = 'here' } = {},
): Promise<Rendered[]> {
  const folder = temporaryFolder();
  const copies = [...new Set(parts.map(({ chart }) => chart))];
  const copyOf = (chart: ChartName) => join(folder, 'charts', chart);
  for (const chart of copies) await copyChart(chart, copyOf(chart));
  const named = parts.map((part, index) => ({ ...part, name: `part${index}` }));
  const args = ['template', release, folder, '--namespace', namespace, '--values', '-'];
  const errors = new Map<string, string>();
  for (;;) {
    const left = named.filter(({ name }) => !errors.has(name));
    for (const chart of copies.filter((one) => !left.some((part) => part.chart === one)))
      await rm(copyOf(chart), { recursive: true, force: true });
    const dependencies = left.map(({ chart, name }) => ({ name: chart, alias: name, version: '>=0.0.0-0' }));
    const whole = { apiVersion: 'v2', name: 'whole', version: '0.0.0', dependencies };
    await writeFile(join(folder, 'Chart.yaml'), JSON.stringify(whole));
    const values = Object.fromEntries(left.map((part) => [part.name, part.values]));
    const { exitCode, stdout, stderr } = await run('helm', args, { stdin: JSON.stringify(values) });
    if (exitCode !== 0) {
      for (const [name, error] of errorsOf(stderr)) errors.set(name, error);
      continue;
    }
    const texts = textsOf(stdout);
    return named.map(({ chart, name }) => ({
      text: (texts.get(name) ?? '').replaceAll(name, chart),
      error: errors.get(name),
    }));
  }
}
