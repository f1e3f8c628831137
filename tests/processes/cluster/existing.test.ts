import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { oldestMinor } from '../../../lib/cluster/existing/requirements.ts';
import { loadSettings, settingsFiles } from '../../../lib/settings/settings.ts';
import { task } from '../../../tasks/environment-task.ts';
import { context, listing, printing, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';
import { fails, failureOf, taskContext } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('existing', 'existing', 'environments', 'helmfile.yaml');

const defaultClass = { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } };

const apiAt = (port: number, ...addresses: string[]): string =>
  listing({ endpoints: [{ addresses }], ports: [{ port }] });
const nodeAt = (address: string): string =>
  listing({ metadata: { name: 'a' }, status: { addresses: [{ type: 'InternalIP', address }] } });
const dnsPod = (hostNetwork: boolean): string =>
  listing({ spec: { hostNetwork }, status: { podIP: '10.244.0.5' } });
const operatorOf = (image: string, labels: object = {}): string =>
  listing({ metadata: { labels }, spec: { template: { spec: { containers: [{ image }] } } } });

const answers = {
  'config view': printing({ clusters: [{ cluster: { server: 'https://one' } }] }),
  readyz: 'echo ok',
  'get namespaces': listing(),
  'get storageclass': listing({ metadata: defaultClass }),
  'get service kubernetes': listing({ spec: { clusterIP: '10.96.0.1' } }),
  'get endpointslices*kube-dns': listing({ endpoints: [{ addresses: ['10.244.0.5'] }] }),
  'get endpointslices': apiAt(6443, '192.0.2.10'),
  'get pods': dnsPod(false),
  'get nodes': nodeAt('192.0.2.20'),
  'get daemonsets': listing(),
  'get apiservices': listing(),
  'can-i': 'echo yes',
  customresourcedefinition: printing({
    spec: { versions: ['v1', 'v1alpha1'].map((name) => ({ name, served: true })) },
  }),
  'get deployments': operatorOf('a:5000/b:1.30.1'),
  'get clusterissuer': '',
  version: printing({ serverVersion: { gitVersion: 'v1.31.4-eks', minor: '31+' } }),
};

type Changes = Partial<typeof answers>;

const kubectl = (changes: Changes = {}): void => project.script('kubectl', { ...answers, ...changes });

const metricsApi = (status: string, annotations: object = {}) => {
  const metadata = { name: 'v1beta1.metrics.k8s.io', annotations };
  const conditions = [{ type: 'Available', status, message: 'no endpoints' }];
  return { 'get apiservices': listing({ metadata, status: { conditions } }) };
};

const nodeLocalDns = (hostNetwork: boolean) => {
  const args = ['-localip', '169.254.20.10,10.96.0.10', '-conf', '/etc/Corefile'];
  const spec = { template: { spec: { hostNetwork, containers: [{ args }] } } };
  return { 'get daemonsets': listing({ metadata: { name: 'node-local-dns' }, spec }) };
};

test('create checks the cluster without changing it; only the call that reads the user’s kubeconfig names no other', async () => {
  kubectl();
  assert.is(await provider.create(context), 'unchanged');
  const own = `kubectl --kubeconfig ${context.environment.kubeconfig} --context some-context `;
  const calls = project.calls(/^(?!.* some-context (?:-n \S+ )?(?:get|version) )/);
  assert.equal(
    calls.map((line) => line.replace(own, '')),
    [
      'kubectl config view --minify --flatten --raw --output json --context some-context',
      'auth can-i create namespaces --all-namespaces',
      'auth can-i create clusterroles.rbac.authorization.k8s.io --all-namespaces',
      'auth can-i create customresourcedefinitions.apiextensions.k8s.io --all-namespaces',
      'auth can-i create deployments.apps --all-namespaces',
      'auth can-i get secrets --all-namespaces',
    ],
  );
});

test('the fault of a cluster is what kubectl says', async () => {
  kubectl();
  await provider.create(context);
  const noPlugin = 'Unable to connect to the server: getting credentials: exec: executable acme not found';
  const noLogin = 'the server has asked for the client to provide credentials';
  for (const [said, more = ''] of [[noPlugin, 'It looks like you …'], [noLogin]] as const) {
    kubectl({ readyz: `printf '%s\n' "${said}" "${more}" >&2; exit 1` });
    const { faults, advice } = await provider.state(context);
    assert.equal(faults, [said]);
    assert.match(advice ?? '', 'kubectl --context some-context get nodes');
  }
  const failed = noPlugin.replace('not found', 'failed with exit code 7');
  kubectl({ readyz: `printf '%s\n' "E1130 memcache.go" "log in first" "${failed}" >&2; exit 1` });
  assert.equal((await provider.state(context)).faults, [`log in first; ${failed}`]);
});

test('a right that is missing in a namespace that exists is named', async () => {
  const said =
    'Error from server (Forbidden): secrets is forbidden: User \\"me\\" cannot list resource \\"secrets\\"';
  const namespace = listing({ metadata: { name: 'backend' } });
  kubectl({ 'get namespaces': namespace, 'get pods': `echo "${said}" >&2; exit 1` });
  await fails(provider.create(context), { advice: 'give me the right to list secrets, then run again' });
});

const canI = '`kubectl auth can-i create namespaces`';
const cutOff = (what: string): string => `network policies would not let pods reach ${what}`;
const mayNot = (what: string): string => `you may not create ${what} in context \`some-context\``;
const noAnswer = { readyz: 'echo "dial tcp: connection refused" >&2; exit 1' };
const old = printing({ serverVersion: { gitVersion: 'v1.29.9', minor: '29' } });
const noTypes = 'case "$*" in *customresource*) echo no; exit 1;; *) echo yes;; esac';
const nodeInPodNetwork = { 'get nodes': nodeAt('10.244.3.8') };
const unlabelled = listing();

for (const [what, changes, exitCode = 1] of [
  ['the cluster of context `some-context` does not answer', noAnswer],
  ['the cluster runs Kubernetes v1.29.9', { version: old }],
  ['the cluster runs Kubernetes of an unknown version', { version: 'echo "{}"' }],
  ['`kubectl version -o json` gave no readable answer', { version: '' }],
  ['context `some-context` has no default StorageClass', { 'get storageclass': listing({ metadata: {} }) }],
  [mayNot('customresourcedefinitions'), { 'can-i': noTypes }],
  [mayNot('namespaces'), { 'can-i': 'echo "no - some policy"; exit 1' }],
  [`${canI} failed with exit code 1`, { 'can-i': 'echo "Unable to connect" >&2; exit 1' }],
  [`${canI} was ended by SIGKILL`, { 'can-i': 'kill -9 $$' }, 137],
  // As on EKS, behind its Service.
  [
    cutOff('the API server: 10.244.3.7, 10.244.9.7'),
    { 'get endpointslices': apiAt(6443, '10.244.3.7', '10.244.9.7') },
  ],
  [cutOff('the API server on port 16443'), { 'get endpointslices': apiAt(16443, '192.0.2.10') }],
  [cutOff('the kubelets: 10.244.3.8'), nodeInPodNetwork],
  [cutOff('the name servers: 169.254.20.10, 10.96.0.10'), nodeLocalDns(true)],
  [cutOff('the name servers: 10.244.0.5'), { 'get pods': dnsPod(true) }],
  [cutOff('the name servers: 10.244.0.5'), { 'get pods': unlabelled }],
  ['the cluster has a metrics API (v1beta1.metrics.k8s.io) that does not answer', metricsApi('False')],
] as const) {
  test(`create refuses with advice: ${what}`, async () => {
    kubectl(changes);
    await fails(provider.create(context), { what, exitCode, advice: /./ });
  });
}

test('ranges of the settings, or of the release devops, open the addresses', async () => {
  const inPodNetwork = (port: number) => ({ 'get endpointslices': apiAt(port, '10.244.3.7') });
  kubectl({ ...inPodNetwork(6443), ...nodeInPodNetwork, ...nodeLocalDns(true) });
  const open = { nodeCidrs: ['10.244.0.0/16'], dnsCidrs: ['169.254.20.10/32', '10.96.0.10/32'] };
  const create = (...apiServerCidrs: string[]) =>
    provider.create(withSettings({ cluster: { ...open, apiServerCidrs } }));
  await create('10.244.0.0/16', '10.96.0.1/32');
  await fails(create('10.244.0.0/16'), { why: 'cluster.apiServerCidrs has only 10.244.0.0/16' });
  const outside = { 'api-server': { ranges: [{ cidr: '10.0.0.0/8' }], ports: [443, 16443] } };
  kubectl({ ...inPodNetwork(16443), ...nodeInPodNetwork, ...nodeLocalDns(true) });
  await provider.create(withSettings({ cluster: open, releases: { devops: { outside } } }));
  // Elsewhere, it is a pod like other name servers.
  kubectl(nodeLocalDns(false));
  await provider.create(context);
});

test('metrics-server is left out where the cluster has a metrics API, until it has none', async () => {
  const installed = async () =>
    (await loadSettings(context.environment)).releases['metrics-server']?.installed;
  kubectl(metricsApi('True'));
  await provider.create(context);
  assert.equal(context.logged, [
    'the cluster has a metrics API of its own: the release metrics-server is left out',
  ]);
  assert.is(await installed(), false);
  const files = await settingsFiles('development', 'existing', project.folder);
  assert.is(files.at(-1), '.state/development/cluster.yaml');
  const ours = { 'meta.helm.sh/release-name': 'metrics-server', 'meta.helm.sh/release-namespace': 'core' };
  for (const metrics of [{}, metricsApi('True', ours)]) {
    kubectl(metrics);
    await provider.create(context);
    assert.is(await installed(), undefined);
  }
});

test('autoscalers without a metrics API are refused', async () => {
  kubectl();
  const without = withSettings({ releases: { 'metrics-server': { installed: false } } });
  await fails(provider.create(without), {
    what: 'releases.metrics-server.installed is false, and the cluster has no metrics API',
    why: 'the autoscaler of app2-back needs v1beta1.metrics.k8s.io',
  });
});

const noContext = { 'config view': `echo 'error: cannot locate context "some-context"' >&2; exit 1` };

test('an environment is absent only from a cluster that answers; one that was created there is degraded', async () => {
  kubectl();
  assert.is((await provider.state(context)).phase, 'absent');
  for (const changes of [noAnswer, noContext, { 'get namespaces': 'echo Forbidden >&2; exit 1' }]) {
    rmSync(context.environment.kubeconfig, { force: true });
    kubectl(changes);
    const { what } = await failureOf(provider.state(context));
    await fails(provider.destroy(context), { what });
  }
  kubectl();
  await provider.create(context);
  assert.is((await provider.state(context)).phase, 'running');
  kubectl({ readyz: 'exit 1' });
  assert.is((await provider.state(context)).phase, 'degraded');
});

test('a task that changes a cluster first looks whose its namespaces are', async () => {
  const namespacesOf = (owner: string) => ({
    'get namespaces': listing({
      metadata: { name: 'core', labels: { 'k8s-deployment/environment': owner } },
    }),
  });
  kubectl(namespacesOf('other'));
  const run = async (lock: boolean) =>
    task({
      ...{ name: 'x', description: 'x', lock, onCluster: true },
      commands: () => [],
      run: async () => {},
    }).run?.(taskContext({ env: 'development', provider: 'existing', context: 'some-context' }));
  await run(false);
  await fails(run(true), { why: 'it belongs to environment `other`' });
  kubectl(namespacesOf('development'));
  await run(true);
});

test('start and stop do nothing and say so; without a context nothing is removed', async () => {
  kubectl();
  assert.is(await provider.start(context), 'unchanged');
  assert.is(await provider.stop(context), 'unchanged');
  assert.equal(context.logged, [
    'an existing cluster is not started by these tasks: nothing to do',
    'an existing cluster is not stopped by these tasks: nothing to do',
  ]);
  const environment = { ...context.environment, context: '' };
  assert.is(await provider.destroy({ ...context, environment }), 'unchanged');
  assert.equal(project.calls(), []);
});

/* What it must have, by the settings. */

const storageClass = (name: string) => ({ 'get storageclass': listing({ metadata: { name } }) });
const type = (answer: string) => ({ customresourcedefinition: answer });
const noType = type('');
const served = (types: string, name = 'v1') => {
  const versions = [
    { name, served: true },
    { name: 'old', served: false },
  ];
  return type(`case "$*" in *${types}*) ${printing({ spec: { versions } })};; esac`);
};
const operator = (answer: string) => ({ 'get deployments': answer });
const issuer = (status: string) => {
  const conditions = [{ type: 'Ready', status, message: 'no account' }];
  return { 'get clusterissuer': printing({ status: { conditions } }) };
};
const keda = { enabled: true, kind: 'keda' };
const scaled = (more = {}) => ({ releases: { 'app2-back': { autoscaling: keda, ...more } } });
const cluster = { releases: { postgresql: { kind: 'cloudnative-pg' } } };
const backedUp = (method: object) => ({
  releases: { postgresql: { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, ...method } } } },
});
const clusters = served('clusters.postgresql.cnpg.io');
const monitored = { monitoring: { enabled: true } };
const fast = { cluster: { storageClass: 'fast' } };
const issued = { ingress: { tls: { clusterIssuer: 'letsencrypt' } } };
const version = { 'app.kubernetes.io/version': '1.30.0' };

const lacks = (what: string, setting: string): string =>
  `context \`some-context\` has no ${what}, which the setting ${setting} asks for`;
const lacksTwo = 'context `some-context` lacks 2 things that the settings ask for';
const kind = 'releases.postgresql.kind';
const backup = 'releases.postgresql.cluster.backup';
const issuerWhich = 'the ClusterIssuer letsencrypt, which the setting ingress.tls.clusterIssuer names,';
const noFast =
  'context `some-context` has no StorageClass fast, which the setting cluster.storageClass names';
const crdFailed =
  '`kubectl get customresourcedefinition podmonitors.monitoring.coreos.com` failed with exit code 1';

/** What is reported of settings with kubectl's answers; `fine: …`: nothing. */
for (const [what, changes, answer] of [
  [lacks('CloudNativePG', kind), cluster, noType],
  [lacks('CloudNativePG with v1', kind), cluster, served('clusters', 'v2')],
  ["CloudNativePG's operator is not in the namespace cnpg-system", cluster, operator(listing())],
  ['CloudNativePG 1.28.4 is too old', cluster, operator(operatorOf('host:5/cnpg:1.28.4@sha256:0'))],
  ['fine: an operator with its version in a label', cluster, operator(operatorOf('a@sha256:0', version))],
  [lacks('snapshot controller', backup), backedUp({}), clusters],
  [lacks("CloudNativePG's Barman Cloud plugin", backup), backedUp({ method: 'plugin' }), clusters],
  [lacks('KEDA', 'releases.app2-back.autoscaling.kind'), scaled(), noType],
  ['fine: a release that is left out', scaled({ installed: false }), noType],
  [lacks('Prometheus Operator', 'monitoring.enabled'), monitored, noType],
  [lacks('cert-manager', 'ingress.tls.clusterIssuer'), issued, noType],
  [`${issuerWhich} does not exist`, issued, {}],
  [`${issuerWhich} is not ready`, issued, issuer('False')],
  ['fine: an issuer that is ready', issued, issuer('True')],
  [lacksTwo, { ...monitored, ...issued }, noType],
  ['fine: a StorageClass that exists', fast, storageClass('fast')],
  [noFast, fast, storageClass('slow')],
  [crdFailed, monitored, type('echo "Unable to connect to the server" >&2; exit 1')],
] as readonly (readonly [string, Parameters<typeof withSettings>[0], Changes])[]) {
  test(`by the settings, ${what}`, async () => {
    kubectl(answer);
    const created = provider.create(withSettings(changes));
    if (what.startsWith('fine')) return void (await created);
    await fails(created, { what, why: /./, advice: /./ });
  });
}

test('an install looks only for what its releases need', async () => {
  kubectl({ ...noType, 'get storageclass': listing() });
  const check = async (...releases: string[]) =>
    provider.checkRequirements?.(withSettings(monitored), releases);
  await check('app1-back', 'reloader');
  await fails(check('devops'), { what: /has no Prometheus Operator/ });
});

test('the types of the ingress controller, which create-k8s brings, are looked for by an install of a front', async () => {
  kubectl(noType);
  const install = async (kind: 'ingress' | 'httproute', ...releases: readonly string[]) =>
    provider.checkRequirements?.(withSettings({ ingress: { kind } }), releases);
  await provider.create(context);
  await install('httproute', 'app1-back');
  const traefik = lacks('Traefik with its types', 'ingress.controller');
  await fails(install('ingress', 'app1-back', 'app1-front'), { what: traefik });
  const { why = '' } = await fails(install('httproute', 'app2-front'), {});
  assert.match(why, lacks('Gateway API', 'ingress.kind'));
});

test('the charts need the Kubernetes that is looked for', () => {
  for (const name of readdirSync('charts')) {
    const chart = readFileSync(join('charts', name, 'Chart.yaml'), 'utf8');
    assert.match(chart, `kubeVersion: ">=1.${oldestMinor}.0-0"`, name);
  }
});

test.run();
