import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { oldestMinor } from '../../../lib/cluster/existing/requirements.ts';
import { loadSettings, type Settings, settingsFiles } from '../../../lib/settings/settings.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('existing');

const clone = scriptedFolder('environments', 'helmfile.yaml');
const { environment } = await clone.context('existing');
let context: CloneContext;

test.before.each(async () => {
  context = await clone.context('existing');
  clone.forget();
});
test.after.each(() => clone.reset());
test.after(() => clone.remove());

const answers = {
  view: `echo '{"clusters":[{"cluster":{"server":"https://one"}}]}'`,
  ready: 'echo ok',
  namespaces: `echo '{"items":[]}'`,
  version: `echo '{"serverVersion":{"gitVersion":"v1.31.4-eks","minor":"31+"}}'`,
  storage: `echo '{"items":[{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}]}'`,
  may: 'echo yes',
  type: `echo '{"spec":{"versions":[{"name":"v1","served":true},{"name":"v1alpha1","served":true}]}}'`,
  operator: `echo '{"items":[{"metadata":{},"spec":{"template":{"spec":{"containers":[{"image":"a:5000/b:1.30.1"}]}}}}]}'`,
  issuer: '',
  service: `echo '{"items":[{"spec":{"clusterIP":"10.96.0.1"}}]}'`,
  slices: `echo '{"items":[{"endpoints":[{"addresses":["192.0.2.10"]}],"ports":[{"port":6443}]}]}'`,
  nodes: `echo '{"items":[{"metadata":{"name":"a"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.20"}]}}]}'`,
  dns: `echo '{"items":[{"endpoints":[{"addresses":["10.244.0.5"]}]}]}'`,
  dnsPods: `echo '{"items":[{"spec":{},"status":{"podIP":"10.244.0.5"}}]}'`,
  caches: `echo '{"items":[]}'`,
  metrics: `echo '{"items":[]}'`,
};

const storageClass = (name: string): string => `echo '{"items":[{"metadata":{"name":"${name}"}}]}'`;

type Wanted = {
  readonly releases?: object;
  readonly monitoring?: boolean;
  readonly clusterIssuer?: string;
  readonly storageClass?: string;
};

const metricsApi = (status: string, annotations: object = {}): string => {
  const metadata = { name: 'v1beta1.metrics.k8s.io', annotations };
  const conditions = [{ type: 'Available', status, message: 'no endpoints' }];
  return `echo '${JSON.stringify({ items: [{ metadata, status: { conditions } }] })}'`;
};

const nodeLocalDns = (hostNetwork: boolean): string => {
  const args = ['-localip', '169.254.20.10,10.96.0.10', '-conf', '/etc/Corefile'];
  const spec = { template: { spec: { hostNetwork, containers: [{ args }] } } };
  return `echo '${JSON.stringify({ items: [{ metadata: { name: 'node-local-dns' }, spec }] })}'`;
};

/** A kubectl that answers in this way. */
const kubectl = (changes: Partial<typeof answers> = {}): void => {
  const answer = { ...answers, ...changes };
  const { view, ready, version, storage, may, type } = answer;
  clone.script(
    'kubectl',
    `case "$*" in
      *"config view"*) ${view};;
      *get-contexts*) printf 'team-a\\nteam-b\\n';;
      *readyz*) ${ready};;
      *"get namespaces"*) ${answer.namespaces};;
      *"get storageclass"*) ${storage};;
      *"get service kubernetes"*) ${answer.service};;
      *"get endpointslices"*kube-dns*) ${answer.dns};;
      *"get endpointslices"*) ${answer.slices};;
      *"get pods"*) ${answer.dnsPods};;
      *"get nodes"*) ${answer.nodes};;
      *"get daemonsets"*) ${answer.caches};;
      *"get apiservices"*) ${answer.metrics};;
      *can-i*) ${may};;
      *customresourcedefinition*) ${type || ':'};;
      *"get deployments"*) ${answer.operator};;
      *"get clusterissuer"*) ${answer.issuer || ':'};;
      *version*) ${version};;
    esac`,
  );
};

const served = (type: string, version = 'v1') =>
  `case "$*" in *${type}*) echo '{"spec":{"versions":[{"name":"${version}","served":true},{"name":"old","served":false}]}}';; esac`;
const operator = (image: string, labels: object = {}) =>
  `echo '${JSON.stringify({ items: [{ metadata: { labels }, spec: { template: { spec: { containers: [{ image }] } } } }] })}'`;
const issuer = (status: string) =>
  `echo '${JSON.stringify({ status: { conditions: [{ type: 'Ready', status, message: 'no account' }] } })}'`;
const keda = { 'app2-back': { autoscaling: { enabled: true, kind: 'keda' } } };
const cluster = { postgresql: { password: '', kind: 'cloudnative-pg' } };

/** Settings that need something of the cluster, kubectl's answers, and what is reported; `undefined`: nothing. */
for (const [title, changes, answer, what] of [
  [
    'an operator that is missing',
    { releases: cluster },
    { type: '' },
    'context `some-context` has no CloudNativePG, which the setting releases.postgresql.kind asks for',
  ],
  [
    'an operator that does not serve the version of the charts',
    { releases: cluster },
    { type: served('clusters', 'v2') },
    'context `some-context` has no CloudNativePG with v1, which the setting releases.postgresql.kind asks for',
  ],
  [
    'an operator in another namespace',
    { releases: cluster },
    { operator: answers.caches },
    "CloudNativePG's operator is not in the namespace cnpg-system",
  ],
  [
    'an operator that is too old',
    { releases: cluster },
    { operator: operator('host:5000/cloudnative-pg:1.28.4@sha256:0') },
    'CloudNativePG 1.28.4 is too old',
  ],
  [
    'an operator whose label tells its version',
    { releases: cluster },
    { operator: operator('cloudnative-pg@sha256:0', { 'app.kubernetes.io/version': '1.30.0' }) },
    undefined,
  ],
  [
    'snapshots without their controller',
    { releases: { postgresql: { ...cluster.postgresql, cluster: { backup: { enabled: true } } } } },
    { type: served('clusters.postgresql.cnpg.io') },
    'context `some-context` has no snapshot controller, which the setting releases.postgresql.cluster.backup asks for',
  ],
  [
    'backups without their plugin',
    {
      releases: {
        postgresql: { ...cluster.postgresql, cluster: { backup: { enabled: true, method: 'plugin' } } },
      },
    },
    { type: served('clusters.postgresql.cnpg.io') },
    "context `some-context` has no CloudNativePG's Barman Cloud plugin, which the setting releases.postgresql.cluster.backup asks for",
  ],
  [
    'autoscaling without KEDA',
    { releases: keda },
    { type: '' },
    'context `some-context` has no KEDA, which the setting releases.app2-back.autoscaling.kind asks for',
  ],
  [
    'a release that is left out',
    { releases: { 'app2-back': { ...keda['app2-back'], installed: false } } },
    { type: '' },
    undefined,
  ],
  [
    'monitoring without its operator',
    { monitoring: true },
    { type: '' },
    'context `some-context` has no Prometheus Operator, which the setting monitoring.enabled asks for',
  ],
  [
    'an issuer without cert-manager',
    { clusterIssuer: 'letsencrypt' },
    { type: '' },
    'context `some-context` has no cert-manager, which the setting ingress.tls.clusterIssuer asks for',
  ],
  [
    'an issuer that does not exist',
    { clusterIssuer: 'letsencrypt' },
    { issuer: '' },
    'the ClusterIssuer letsencrypt, which the setting ingress.tls.clusterIssuer names, does not exist',
  ],
  [
    'an issuer without an account',
    { clusterIssuer: 'letsencrypt' },
    { issuer: issuer('False') },
    'the ClusterIssuer letsencrypt, which the setting ingress.tls.clusterIssuer names, is not ready',
  ],
  ['an issuer', { clusterIssuer: 'letsencrypt' }, { issuer: issuer('True') }, undefined],
  [
    'several at once',
    { monitoring: true, clusterIssuer: 'letsencrypt' },
    { type: '' },
    'context `some-context` lacks 2 things that the settings ask for',
  ],
  ['a cluster class of the settings', { storageClass: 'fast' }, { storage: storageClass('fast') }, undefined],
  [
    'a class of the settings that does not exist',
    { storageClass: 'fast' },
    { storage: storageClass('slow') },
    'context `some-context` has no StorageClass fast, which the setting cluster.storageClass names',
  ],
  [
    'types that kubectl cannot read',
    { monitoring: true },
    { type: 'echo "Unable to connect to the server" >&2; exit 1' },
    '`kubectl get customresourcedefinition podmonitors.monitoring.coreos.com` failed with exit code 1',
  ],
] as readonly (readonly [string, Wanted, Partial<typeof answers>, string | undefined])[]) {
  test(`what the settings need: ${title} ${what ? 'is reported' : 'is fine'}`, async () => {
    const { settings } = context;
    const { releases = {}, clusterIssuer = '', storageClass = '' } = changes;
    const changed = {
      ...settings,
      releases: { postgresql: settings.releases.postgresql, ...releases },
      monitoring: { ...settings.monitoring, enabled: changes.monitoring ?? false },
      ingress: { ...settings.ingress, tls: { ...settings.ingress.tls, clusterIssuer } },
      cluster: { ...settings.cluster, storageClass },
    };
    kubectl(answer);
    const created = provider.create({ ...context, settings: changed });
    if (what === undefined) return void (await created);
    const error = await failureOf(created);
    assert.is(error.what, what);
    assert.ok(error.why && error.advice);
  });
}

test('an install looks only for what its releases need', async () => {
  kubectl({ type: '', storage: `echo '{"items":[]}'` });
  const settings = { ...context.settings, monitoring: { ...context.settings.monitoring, enabled: true } };
  await provider.checkRequirements?.({ ...context, settings }, ['app1-back', 'reloader']);
  const { what } = await failureOf(
    provider.checkRequirements?.({ ...context, settings }, ['devops']) ?? Promise.resolve(),
  );
  assert.match(what, 'has no Prometheus Operator');
});

test('the charts need the Kubernetes that is looked for', async () => {
  for (const name of await readdir('charts')) {
    const chart = await readFile(join('charts', name, 'Chart.yaml'), 'utf8');
    assert.match(chart, `kubeVersion: ">=1.${oldestMinor}.0-0"`, name);
  }
});

test('create checks the cluster without changing it; only the call that reads the user’s kubeconfig names no other', async () => {
  kubectl();
  assert.is(await provider.create(context), 'unchanged');
  const own = `kubectl --kubeconfig ${environment.kubeconfig} --context some-context `;
  assert.equal(
    clone.calls().map((line) => line.replace(own, '')),
    [
      'kubectl config view --minify --flatten --raw --output json --context some-context',
      'get --raw /readyz --request-timeout 15s',
      'get namespaces -o json',
      'version -o json',
      'get storageclass -o json',
      'auth can-i create namespaces --all-namespaces',
      'auth can-i create clusterroles.rbac.authorization.k8s.io --all-namespaces',
      'auth can-i create customresourcedefinitions.apiextensions.k8s.io --all-namespaces',
      'auth can-i create deployments.apps --all-namespaces',
      'auth can-i get secrets --all-namespaces',
      'get apiservices -o json',
      '-n default get endpointslices -l kubernetes.io/service-name=kubernetes -o json',
      '-n default get service kubernetes -o json',
      'get nodes -o json',
      '-n kube-system get pods -l k8s-app=kube-dns -o json',
      '-n kube-system get endpointslices -l kubernetes.io/service-name=kube-dns -o json',
      '-n kube-system get daemonsets -o json',
    ],
  );
});

test('the fault of a cluster is what kubectl says', async () => {
  const noPlugin = 'Unable to connect to the server: getting credentials: exec: executable acme not found';
  kubectl({ ready: `echo "${noPlugin}" >&2; echo "It looks like you …" >&2; exit 1` });
  assert.equal(await provider.faults?.(context), [noPlugin]);
  kubectl({ ready: 'echo "the server has asked for the client to provide credentials" >&2; exit 1' });
  assert.equal(await provider.faults?.(context), [
    'the server has asked for the client to provide credentials',
  ]);
});

const canI = '`kubectl auth can-i create namespaces`';

for (const [title, changes, what, exitCode = 1] of [
  [
    'a cluster that does not answer',
    { ready: 'echo "dial tcp: connection refused" >&2; exit 1' },
    'the cluster of context `some-context` does not answer',
  ],
  [
    'a Kubernetes that is too old',
    { version: `echo '{"serverVersion":{"gitVersion":"v1.29.9","minor":"29"}}'` },
    'the cluster runs Kubernetes v1.29.9',
  ],
  [
    'a cluster without a version',
    { version: 'echo "{}"' },
    'the cluster runs Kubernetes of an unknown version',
  ],
  ['an answer without a version', { version: '' }, '`kubectl version -o json` gave no readable answer'],
  [
    'no default storage class',
    { storage: `echo '{"items":[{"metadata":{}}]}'` },
    'context `some-context` has no default StorageClass',
  ],
  [
    'a right that is missing',
    { may: 'case "$*" in *customresource*) echo no; exit 1;; *) echo yes;; esac' },
    'you may not create customresourcedefinitions in context `some-context`',
  ],
  [
    'a right that a policy denies',
    { may: 'echo "no - some policy"; exit 1' },
    'you may not create namespaces in context `some-context`',
  ],
  [
    'a question about a right that fails',
    { may: 'echo "Unable to connect" >&2; exit 1' },
    `${canI} failed with exit code 1`,
  ],
  [
    'an API server behind its Service in the pod network, as on EKS',
    { slices: `echo '{"items":[{"endpoints":[{"addresses":["10.244.3.7","10.244.9.7"]}]}]}'` },
    'network policies would not let pods reach the API server: 10.244.3.7, 10.244.9.7',
  ],
  [
    'an API server on another port',
    { slices: answers.slices.replace('6443', '16443') },
    'network policies would not let pods reach the API server on port 16443',
  ],
  [
    'a node in the pod network',
    { nodes: answers.nodes.replace('192.0.2.20', '10.244.3.8') },
    'network policies would not let pods reach the kubelets: 10.244.3.8',
  ],
  [
    'NodeLocal DNS in the network of its node',
    { caches: nodeLocalDns(true) },
    'network policies would not let pods reach the name servers: 169.254.20.10, 10.96.0.10',
  ],
  [
    'a name server in the network of its node',
    { dnsPods: answers.dnsPods.replace('"spec":{}', '"spec":{"hostNetwork":true}') },
    'network policies would not let pods reach the name servers: 10.244.0.5',
  ],
  [
    'name servers with other labels',
    { dnsPods: `echo '{"items":[]}'` },
    'network policies would not let pods reach the name servers: 10.244.0.5',
  ],
  [
    'a metrics API whose server is gone',
    { metrics: metricsApi('False') },
    'the cluster has a metrics API (v1beta1.metrics.k8s.io) that does not answer',
  ],
  ['a kubectl that is killed', { may: 'kill -9 $$' }, `${canI} was ended by SIGKILL`, 137],
] as const) {
  test(`${title} is reported with advice`, async () => {
    kubectl(changes);
    const error = await failureOf(provider.create(context));
    assert.equal([error.what, error.exitCode], [what, exitCode]);
    assert.ok(error.advice);
  });
}

test('ranges of the settings, or of the release devops, open the addresses', async () => {
  kubectl({
    slices: `echo '{"items":[{"endpoints":[{"addresses":["10.244.3.7"]}]}]}'`,
    nodes: answers.nodes.replace('192.0.2.20', '10.244.3.8'),
    caches: nodeLocalDns(true),
  });
  const { cluster, releases } = context.settings;
  const open = { ...cluster, nodeCidrs: ['10.244.0.0/16'], dnsCidrs: ['169.254.20.10/32', '10.96.0.10/32'] };
  const apiServerCidrs = ['10.244.0.0/16', '10.96.0.1/32'];
  const create = (change: Partial<Settings>) =>
    provider.create({ ...context, settings: { ...context.settings, ...change } });
  await create({ cluster: { ...open, apiServerCidrs } });
  const { why } = await failureOf(create({ cluster: { ...open, apiServerCidrs: ['10.244.0.0/16'] } }));
  assert.is(why, 'cluster.apiServerCidrs has only 10.244.0.0/16');
  const outside = { 'api-server': { ranges: [{ cidr: '10.0.0.0/8' }], ports: [443, 16443] } };
  kubectl({
    slices: answers.slices.replace('192.0.2.10', '10.244.3.7').replace('6443', '16443'),
    caches: nodeLocalDns(true),
    nodes: answers.nodes.replace('192.0.2.20', '10.244.3.8'),
  });
  await create({ cluster: open, releases: { ...releases, devops: { outside } } });
  // Elsewhere, it is a pod like other name servers.
  kubectl({ caches: nodeLocalDns(false) });
  await create({});
});

test('metrics-server is left out where the cluster has a metrics API, until it has none', async () => {
  const installed = async () => (await loadSettings(environment)).releases['metrics-server']?.installed;
  kubectl({ metrics: metricsApi('True') });
  await provider.create(context);
  assert.equal(context.logged, [
    'the cluster has a metrics API of its own: the release metrics-server is left out',
  ]);
  assert.is(await installed(), false);
  const files = await settingsFiles('development', 'existing', clone.folder);
  assert.is(files.at(-1), '.state/development/cluster.yaml');
  const ours = { 'meta.helm.sh/release-name': 'metrics-server', 'meta.helm.sh/release-namespace': 'core' };
  for (const metrics of [answers.metrics, metricsApi('True', ours)]) {
    kubectl({ metrics });
    await provider.create(context);
    assert.is(await installed(), undefined);
  }
});

test('autoscalers without a metrics API are refused', async () => {
  kubectl();
  const { releases } = context.settings;
  const leftOut = { ...releases, 'metrics-server': { installed: false } };
  const { what, why } = await failureOf(
    provider.create({ ...context, settings: { ...context.settings, releases: leftOut } }),
  );
  assert.is(what, 'releases.metrics-server.installed is false, and the cluster has no metrics API');
  assert.is(why, 'the autoscaler of app2-back needs v1beta1.metrics.k8s.io');
});

test('a cluster never connected is absent; one no longer answering is degraded', async () => {
  kubectl();
  assert.is(await provider.phase(context), 'absent');
  await provider.create(context);
  assert.is(await provider.phase(context), 'running');
  kubectl({ ready: 'exit 1' });
  assert.is(await provider.phase(context), 'degraded');
});

test('start and stop do nothing and say so', async () => {
  kubectl();
  assert.is(await provider.start(context), 'unchanged');
  assert.is(await provider.stop(context), 'unchanged');
  assert.equal(context.logged, [
    'an existing cluster is not started by these tasks: nothing to do',
    'an existing cluster is not stopped by these tasks: nothing to do',
  ]);
  assert.equal(clone.calls(), []);
});

test.run();
