import { rmSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { requireCluster } from '../../../lib/cluster/cluster.ts';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { loadSettings, type Settings, settingsFiles } from '../../../lib/settings/settings.ts';
import { task } from '../../../tasks/environment-task.ts';
import { failureOf, taskContext } from '../../rig/task-context.ts';
import { answers, clone, context, existingSuite, kubectl } from './scripted-existing.ts';

const test = existingSuite('existing');

const { environment } = await clone.context('existing');

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
const cutOff = (what: string): string => `network policies would not let pods reach ${what}`;
const apiAt = (...addresses: string[]): string =>
  `echo '${JSON.stringify({ items: [{ endpoints: [{ addresses }], ports: [{ port: 6443 }] }] })}'`;
const mayNot = (what: string): string => `you may not create ${what} in context \`some-context\``;
const noAnswer = 'echo "dial tcp: connection refused" >&2; exit 1';
const old = `echo '{"serverVersion":{"gitVersion":"v1.29.9","minor":"29"}}'`;
const noTypes = 'case "$*" in *customresource*) echo no; exit 1;; *) echo yes;; esac';
const onHost = answers.dnsPods.replace('"spec":{}', '"spec":{"hostNetwork":true}');

for (const [title, changes, what, exitCode = 1] of [
  [
    'a cluster that does not answer',
    { ready: noAnswer },
    'the cluster of context `some-context` does not answer',
  ],
  ['a Kubernetes that is too old', { version: old }, 'the cluster runs Kubernetes v1.29.9'],
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
  ['a right that is missing', { may: noTypes }, mayNot('customresourcedefinitions')],
  ['a right that a policy denies', { may: 'echo "no - some policy"; exit 1' }, mayNot('namespaces')],
  [
    'a question about a right that fails',
    { may: 'echo "Unable to connect" >&2; exit 1' },
    `${canI} failed with exit code 1`,
  ],
  [
    'an API server behind its Service in the pod network, as on EKS',
    { slices: apiAt('10.244.3.7', '10.244.9.7') },
    cutOff('the API server: 10.244.3.7, 10.244.9.7'),
  ],
  [
    'an API server on another port',
    { slices: answers.slices.replace('6443', '16443') },
    cutOff('the API server on port 16443'),
  ],
  [
    'a node in the pod network',
    { nodes: answers.nodes.replace('192.0.2.20', '10.244.3.8') },
    cutOff('the kubelets: 10.244.3.8'),
  ],
  [
    'NodeLocal DNS in the network of its node',
    { caches: nodeLocalDns(true) },
    cutOff('the name servers: 169.254.20.10, 10.96.0.10'),
  ],
  ['a name server in the network of its node', { dnsPods: onHost }, cutOff('the name servers: 10.244.0.5')],
  ['name servers with other labels', { dnsPods: answers.metrics }, cutOff('the name servers: 10.244.0.5')],
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

const noContext = `echo 'error: cannot locate context "some-context"' >&2; exit 1`;

test('an environment is absent only from a cluster that answers; one that was created there is degraded', async () => {
  kubectl();
  assert.is(await provider.phase(context), 'absent');
  const noList = 'echo Forbidden >&2; exit 1';
  for (const changes of [{ ready: noAnswer }, { view: noContext }, { namespaces: noList }]) {
    rmSync(environment.kubeconfig, { force: true });
    kubectl(changes);
    const error = await failureOf(provider.phase(context));
    assert.is((await failureOf(provider.destroy(context))).what, error.what);
  }
  kubectl();
  await provider.create(context);
  assert.is(await provider.phase(context), 'running');
  kubectl({ ready: 'exit 1' });
  assert.is(await provider.phase(context), 'degraded');
});

test('without a context nothing is removed, from the current one neither', async () => {
  kubectl();
  assert.is(
    await provider.destroy({ ...context, environment: { ...environment, context: '' } }),
    'unchanged',
  );
  assert.equal(clone.calls(), []);
});

test('a task that changes a cluster first looks whose its namespaces are', async () => {
  const of = (owner: string) =>
    `echo '{"items":[{"metadata":{"name":"core","labels":{"k8s-deployment/environment":"${owner}"}}}]}'`;
  kubectl({ namespaces: of('other') });
  const error = await failureOf(requireCluster(context, 'change'));
  assert.is(error.why, 'it belongs to environment `other`');
  await requireCluster(context);
  kubectl({ namespaces: of('development') });
  await requireCluster(context, 'change');
  const run = async (lock: boolean) =>
    task({
      name: 'x',
      description: 'x',
      lock,
      commands: () => [],
      onCluster: true,
      run: async () => {},
    }).run?.(taskContext({ env: 'development', provider: 'existing', context: 'some-context' }));
  kubectl({ namespaces: of('other') });
  await run(false);
  assert.is((await failureOf(run(true))).what, error.what);
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
