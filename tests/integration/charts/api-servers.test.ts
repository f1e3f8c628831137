import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { environmentObjects, environments } from '../../charts/environments.ts';
import {
  type ChartName,
  type KubernetesObject,
  objectsOf,
  ofKind,
  only,
  podTemplateOf,
  podValues,
  render,
  type Tree,
  variables,
} from '../../charts/render.ts';
import { once } from '../../charts/tools.ts';
import { toolOf } from '../../rig/programs.ts';
import { type ApiServer, dryRunOn, list, startApiServer } from '../api-server.ts';

/*
 * The embedded cluster's Kubernetes and the newest version accept everything that is rendered, without warnings: API
 * servers only, without controllers.
 */

const image = { digest: `sha256:${'0'.repeat(64)}` };
/** The API server parses certificates; the placeholders of the other tests are not valid ones. */
const tls = { existingSecret: 'certificate' };
const hours = { timezone: 'Etc/UTC', start: '0 8 * * *', end: '0 18 * * *', desiredReplicas: '6' };
const load = { serverAddress: 'http://prometheus:9090', query: 'sum(rate(a[1m]))', threshold: '5' };
const authentication = 'prometheus-reader';
const triggers = {
  hours: { type: 'cron', metadata: hours },
  load: { type: 'prometheus', metricType: 'AverageValue', metadata: load, authentication },
};
const memory: Tree = { enabled: true, targetMemoryUtilizationPercentage: 70 };

const container: Tree = {
  ...variables,
  extraVolumes: [
    { name: 'work', emptyDir: { sizeLimit: '16Mi' } },
    { name: 'claim', persistentVolumeClaim: { claimName: 'data' } },
    { name: 'token', secret: { secretName: 'token' } },
  ],
  extraVolumeMounts: [
    { name: 'work', mountPath: '/work' },
    { name: 'claim', mountPath: '/data', subPath: 'app', readOnly: true },
    { name: 'token', mountPath: '/run/token', readOnly: true },
  ],
  containerPorts: { http: 9000 },
  startupProbe: { initialDelaySeconds: 1, httpGet: { path: '/', scheme: 'HTTPS' } },
  readinessProbe: { grpc: { port: 9000, service: 'health' } },
  livenessProbe: { exec: { command: ['true'] }, successThreshold: 1 },
};

const backup = { enabled: true, method: 'plugin', objectStore: { name: 'store' } };

const variants: readonly (readonly [ChartName, namespace: string, ...values: Tree[]])[] = [
  [
    ...(['backend', 'backend'] as const),
    { image, spread: 'required', replicas: 1, secrets: { managedBy: 'sops' } },
    { spread: 'none', autoscaling: { enabled: true }, rollingUpdate: { maxSurge: '30%' } },
    { autoscaling: { enabled: true, kind: 'keda', keda: { triggers } } },
    { ...podValues, ...container, autoscaling: memory },
    { autoscaling: { ...memory, kind: 'keda' } },
    { secrets: { vault: { kind: 'static' } } },
  ],
  [
    ...(['frontend', 'frontend'] as const),
    { ...podValues, ...container },
    { image, spread: 'required', ingress: { controller: 'none' } },
    { ingress: { controller: 'nginx', tls: { enabled: true } } },
    { ingress: { forwardedDepth: 1, tls: { enabled: true } } },
    { ingress: { kind: 'httproute', tls: { enabled: true } } },
  ],
  ['devops', 'core', { monitoring: { enabled: true, labels: { release: 'stack' } } }],
  [
    ...(['postgresql', 'database'] as const),
    { ...podValues, tls },
    { ...podValues, tls, kind: 'cloudnative-pg' },
    { image, persistence: { enabled: false }, tls, clients: { backend: null } },
    { kind: 'cloudnative-pg', tls, cluster: { synchronousReplicas: 0, backup } },
  ],
  [
    ...(['traefik', 'core'] as const),
    { image, service: { type: 'NodePort', httpNodePort: 30080 } },
    { kind: 'DaemonSet', trustedProxies: ['192.0.2.0/24'] },
  ],
  ['stand-in', 'core', { image, workload: { kind: 'StatefulSet' }, services: { one: { http: 80 } } }],
];

/** What the environments deploy and other supported settings, each object once: most are the same in several. */
const everything = once(async () => {
  const objects = await Promise.all([
    ...environments.map(([provider, environment]) => environmentObjects(provider, environment)),
    ...variants.flatMap(([chart, namespace, ...each]) =>
      each.map((values) => render(chart, { namespace, values })),
    ),
  ]);
  return [...new Map(objects.flat().map((object) => [JSON.stringify(object), object])).values()];
});

/** The pods that workloads would create, with an account that exists before the release. */
function podsOf(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.flatMap((object) => {
    const { kind, metadata, spec } = object;
    const template = podTemplateOf(object);
    if (template === undefined) return [];
    // added as by the StatefulSet controller
    const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata: { name } }: KubernetesObject) => ({
      ...{ name, persistentVolumeClaim: { claimName: name } },
    }));
    const { volumes = [] } = template.spec;
    const name = `${kind.toLowerCase()}-${metadata.name}`.slice(0, 63);
    return {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { ...template.metadata, name, namespace: metadata.namespace },
      spec: { ...template.spec, serviceAccountName: 'default', volumes: [...volumes, ...claims] },
    };
  });
}

/** The CRDs of these objects, in the pinned versions of their operators. */
async function resourceTypes(used: readonly KubernetesObject[]): Promise<KubernetesObject[]> {
  const types = (await toolOf('chart-types')).folder;
  const operator = join((await toolOf('vault-secrets-operator')).folder, 'crds');
  const names = ['cloudnative-pg', 'gateway-api', 'keda', 'prometheus-operator', 'traefik'];
  const texts = [operator, ...names.map((name) => join(types, name))].map(async (folder) => {
    const files = (await readdir(folder)).sort();
    return Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  });
  const objects = (await Promise.all(texts)).flat().flatMap(objectsOf);
  return objects.filter(
    ({ kind, spec }) =>
      kind === 'CustomResourceDefinition' &&
      used.some(
        (object) => object.kind === spec.names.kind && object.apiVersion.startsWith(`${spec.group}/`),
      ),
  );
}

for (const tool of ['kube-apiserver', 'kube-apiserver-newest'] as const) {
  const charts = suite(`charts and ${tool}`);
  let server: ApiServer;

  const apply = (objects: readonly object[]) =>
    server.kubectl(['apply', '--server-side', '-f', '-'], list(objects));

  charts.before(async () => {
    const [etcd, kubeApiserver] = await Promise.all([toolOf('etcd'), toolOf(tool)]);
    server = await startApiServer({ etcd: etcd.path, kubeApiserver: kubeApiserver.path });
    const types = await resourceTypes(await everything());
    await apply(types);
    const names = types.map(({ metadata }) => `crd/${metadata.name}`);
    await server.kubectl(['wait', '--for', 'condition=Established', '--timeout', '60s', ...names]);
    // Quotas would refuse every pod, because no controller calculates usage.
    const devops = await render('devops', { release: 'devops', namespace: 'core' });
    const namespaces = ofKind(devops, 'Namespace');
    await apply([...namespaces, ...ofKind(devops, 'PriorityClass')]);
    const accounts = ['default', ...namespaces.map(({ metadata }) => metadata.name)].map((namespace) => ({
      ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } },
    }));
    await apply([...ofKind(devops, 'LimitRange'), ...accounts]);
  });

  charts('every object and pod is accepted without a warning', async () => {
    const objects = await everything();
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of [
      ...['VaultAuth', 'PriorityClass', 'HorizontalPodAutoscaler', 'Ingress', 'Job', 'ScaledObject'],
      ...['Cluster', 'ScheduledBackup', 'Middleware', 'HTTPRoute'],
      ...['PodMonitor', 'ServiceMonitor', 'PrometheusRule'],
    ])
      assert.ok(kinds.has(kind), kind);
    const wanted = [...objects, ...podsOf(objects)];
    const { exitCode, stdout, stderr } = await dryRunOn(server, wanted);
    assert.is(stderr, '');
    assert.is(exitCode, 0);
    assert.is(stdout.trim().split('\n').length, wanted.length);
  });

  charts('an extra field, a wrong type and an unknown kind are refused', async () => {
    const namespace = 'backend';
    const values = { autoscaling: { enabled: true, kind: 'keda' } };
    const objects = await render('backend', { namespace, values });
    const account = only(objects, 'ServiceAccount');
    const scaled = only(objects, 'ScaledObject');
    for (const [wrong, why] of [
      [{ ...account, heard: 'of never' }, 'unknown field "heard"'],
      [{ ...scaled, spec: { ...scaled.spec, heard: 1 } }, 'unknown field "heard" in sh.keda'],
      [{ ...scaled, spec: { ...scaled.spec, maxReplicaCount: 'many' } }, 'spec.maxReplicaCount'],
      [{ ...account, kind: 'ServiceAcount' }, 'no matches for kind "ServiceAcount"'],
    ] as const)
      assert.match((await dryRunOn(server, [wrong])).stderr, why);
  });

  charts.after(() => server?.stop());
  charts.run();
}
