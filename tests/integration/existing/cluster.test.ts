import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { removeFromCluster } from '../../../lib/cluster/existing/remove.ts';
import { connectExisting } from '../../../lib/cluster/existing/user-kubeconfig.ts';
import { poll } from '../../../lib/ground/poll.ts';
import { root } from '../../../lib/ground/project.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { keepReplicas } from '../../../lib/helm/live-objects.ts';
import { checkNamespaces, prepareNamespaces } from '../../../lib/helm/namespaces.ts';
import { deployedReleases } from '../../../lib/helm/releases.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { merge, required, type Tree } from '../../charts/render.ts';
import { outputOf } from '../../rig/programs.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { fails, taskContext } from '../../rig/task-context.ts';
import { startApiServer } from '../api-server.ts';

/* An existing cluster: whose namespaces are used and removed, autoscaling, and its kubeconfig, with a real API server, helm and kubectl. */

const test = suite('an existing cluster');
const api = await startApiServer();
const copy = copyOf('environments', 'helmfile.yaml');
/** Time limit for what follows a change, on a busy machine. */
const limitMs = 120_000;
const projectNamespaces = ['backend', 'core', 'database', 'frontend', 'vault'];

const context = () => taskContext({ provider: 'existing', context: 'test' }, copy.folder);

const helm = (...words: readonly string[]): Promise<string> => outputOf(api, 'helm', words);

type Metadata = { name: string; deletionTimestamp?: string; labels: object; annotations?: object };

async function namespaces(): Promise<Map<string, Metadata>> {
  const { items } = JSON.parse(await api.kubectl(['get', 'namespaces', '-o', 'json']));
  return new Map(items.map(({ metadata }: { metadata: Metadata }) => [metadata.name, metadata]));
}

const ours = async () => [...(await namespaces()).keys()].filter((name) => projectNamespaces.includes(name));

/** In place of the controller that a bare API server lacks. */
async function finalize(): Promise<void> {
  for (const [name, { deletionTimestamp }] of await namespaces()) {
    if (deletionTimestamp === undefined) continue;
    const end = { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: { finalizers: [] } };
    const path = `/api/v1/namespaces/${name}/finalize`;
    await api.kubectl(['replace', '--raw', path, '-f', '-'], JSON.stringify(end));
  }
}

const group = 'secrets.hashicorp.com';
const vaultAuths = JSON.stringify({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `vaultauths.${group}` },
  spec: {
    ...{ group, scope: 'Namespaced', names: { kind: 'VaultAuth', plural: 'vaultauths' } },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
});
const vaultAuth = JSON.stringify({
  ...{ apiVersion: `${group}/v1`, kind: 'VaultAuth' },
  metadata: { name: 'default', namespace: 'vault', finalizers: [`${group}/finalizer`] },
});

/** Lets the deleted VaultAuth go, as the operator does while its release is installed. */
async function playOperator(): Promise<void> {
  const find = (...words: readonly string[]) =>
    api.kubectl(['-n', 'vault', 'get', '--ignore-not-found', ...words]).catch(() => '');
  const isDeleted = await find('vaultauth', 'default', '-o', 'jsonpath={.metadata.deletionTimestamp}');
  if (isDeleted === '' || (await find('configmap', 'vault-operator', '-o', 'name')) === '') return;
  const patch = '{"metadata":{"finalizers":null}}';
  await api.kubectl(['-n', 'vault', 'patch', 'vaultauth', 'default', '--type', 'merge', '-p', patch]);
}

process.env.KUBECONFIG = api.kubeconfig;
const { environment } = context();
async function connect(): Promise<void> {
  mkdirSync(environment.state, { recursive: true });
  writeFileSync(environment.kubeconfig, await api.kubectl(['config', 'view', '--raw', '--flatten']));
}
test.after(() => api.stop());

test('a namespace with objects of somebody else, or of another environment, is refused; an empty one is not', async () => {
  await api.kubectl(['create', 'namespace', 'backend']);
  await connect();
  await checkNamespaces(context());
  await api.kubectl(['-n', 'backend', 'create', 'configmap', 'theirs']);
  await fails(checkNamespaces(context()), {
    what: "namespace backend of context `test` is not this environment's",
    why: 'it has configmap/theirs',
  });
  await api.kubectl(['-n', 'backend', 'delete', 'configmap', 'theirs']);
  await api.kubectl(['label', 'namespace', 'backend', 'k8s-deployment/environment=staging']);
  const other = await fails(prepareNamespaces(context(), await declaredReleases(copy.folder)), {
    why: 'it belongs to environment `staging`',
  });
  assert.equal(await ours(), ['backend']);
  const [, command = 'false'] = /if it is yours: (.*)/.exec(other.advice ?? '') ?? [];
  await outputOf({ ...copy, env: process.env }, 'sh', ['-c', command]);
  await checkNamespaces(context());
  await api.kubectl(['label', 'namespace', 'backend', 'k8s-deployment/environment-']);
});

test('what the tasks created is recorded and removed; what existed before stays, without our releases', async () => {
  const given = context();
  const releases = await declaredReleases(copy.folder);
  await prepareNamespaces(given, releases);
  await prepareNamespaces(given, releases);
  for (const name of projectNamespaces) {
    const { labels, annotations = {} } = (await namespaces()).get(name) ?? { labels: {} };
    assert.is((labels as Record<string, string>)['k8s-deployment/environment'], 'development', name);
    assert.is('k8s-deployment/adopted' in annotations, name === 'backend', name);
  }
  // As helm marks it for the release devops, which contains it.
  const labels = [
    'owner=others',
    'app.kubernetes.io/managed-by=Helm',
    'pod-security.kubernetes.io/enforce=restricted',
  ];
  await api.kubectl(['label', 'namespace', 'backend', ...labels]);
  const marks = ['meta.helm.sh/release-name=devops', 'meta.helm.sh/release-namespace=core'];
  await api.kubectl(['annotate', 'namespace', 'backend', ...marks]);
  const chart = temporaryFolder();
  mkdirSync(join(chart, 'templates'));
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: some\nversion: 1.0.0\n');
  const object = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: "{{ .Release.Name }}" }\n';
  writeFileSync(join(chart, 'templates', 'some.yaml'), object);
  await helm('install', 'app1-back', chart, '--namespace', 'backend');
  // Somebody else took this one over: a release in it is not ours, whatever its name.
  await api.kubectl(['label', '--overwrite', 'namespace', 'database', 'k8s-deployment/environment=other']);
  await helm('install', 'postgresql', chart, '--namespace', 'database');

  await helm('install', 'vault-operator', chart, '--namespace', 'vault');
  await api.kubectl(['create', '-f', '-'], vaultAuths);
  const create = () => api.kubectl(['create', '-f', '-'], vaultAuth).catch(() => undefined);
  assert.ok(await poll(create, limitMs), 'the type is known');

  const removal = removeFromCluster(given);
  const over = removal.then(
    () => true,
    () => true,
  );
  await poll(async () => {
    await finalize();
    await playOperator();
    return Promise.race([over, undefined]);
  }, limitMs);
  assert.is(await removal, 'changed');
  assert.equal(await ours(), ['backend', 'database']);
  const kept = (await namespaces()).get('backend');
  assert.equal(Object.keys(kept?.labels ?? {}), ['kubernetes.io/metadata.name', 'owner']);
  assert.is(kept?.annotations, undefined);
  assert.is(await helm('list', '-A', '-q'), 'postgresql\n');
  assert.is(await api.kubectl(['get', 'crd', '-o', 'name']), '');
  assert.match(given.logged.join('\n'), 'kept, since they existed before: namespaces backend');
  assert.is(await removeFromCluster(context()), 'unchanged');
});

test('an application that gets an autoscaler keeps its number of pods until that has measured', async () => {
  await connect();
  const values = join(copy.folder, 'values.json');
  const install = async (changed: Tree) => {
    const all = merge(merge(required.backend, { secrets: { managedBy: 'sops' } }), changed);
    writeFileSync(values, JSON.stringify(all));
    const words = ['upgrade', '--install', 'app2-back', join(root, 'charts/backend'), '--values', values];
    await helm(...words, '-n', 'backend', '--server-side=true', '--force-conflicts');
  };
  const pods = () =>
    api.kubectl(['-n', 'backend', 'get', 'deployment', 'app2-back', '-o', 'jsonpath={.spec.replicas}']);
  await install({ replicas: 7 });
  await keepReplicas(context(), (await deployedReleases(context())).get('backend/app2-back'));
  await install({ autoscaling: { enabled: true } });
  assert.is(await pods(), '7');
  await install({ replicas: 2 });
  assert.is(await pods(), '2');
});

test('the copy of the user’s kubeconfig includes certificates, and is not changed by another file', async () => {
  const place = join(copy.folder, 'team');
  mkdirSync(place);
  writeFileSync(join(place, 'ca.pem'), 'ca.pem');
  const config = `clusters: [{ name: c, cluster: { server: https://one, certificate-authority: ca.pem } }]
contexts: [{ name: team, context: { cluster: c, user: u } }]
users: [{ name: u, user: {} }]
current-context: other
`;
  writeFileSync(join(place, 'config'), config);
  const team = { ...context(), environment: { ...environment, context: 'team' } };
  const connectTo = (file: string) => {
    process.env.KUBECONFIG = file;
    rmSync(environment.kubeconfig, { force: true });
    return connectExisting(team);
  };
  await connectTo(`${join(copy.folder, 'none')}:${join(place, 'config')}`);
  const found = JSON.parse(readFileSync(environment.kubeconfig, 'utf8'));
  assert.is(found['current-context'], 'team');
  assert.is(atob(found.clusters[0].cluster['certificate-authority-data']), 'ca.pem');
  await fails(connectTo(join(copy.folder, 'none')), { exitCode: 2 });
  writeFileSync(join(place, 'damaged'), 'clusters: [');
  await fails(connectTo(join(place, 'damaged')), { exitCode: 1, why: /error loading config file/ });
});

test.run();
