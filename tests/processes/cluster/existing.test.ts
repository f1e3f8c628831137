import { rmSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { cluster as provider } from '../../../lib/cluster/existing/cluster.ts';
import { loadSettings, settingsFiles } from '../../../lib/settings/settings.ts';
import { task } from '../../../tasks/environment-task.ts';
import { context, listing, printing, withSettings } from '../../rig/scripted-folder.ts';
import { fails, failureOf, taskContext } from '../../rig/task-context.ts';
import { apiAt, dnsPod, kubectl, nodeAt, project, test } from './scripted-existing.ts';

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
    assert.equal((await provider.state(context)).faults, [said]);
  }
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

test.run();
