import { environments as deployed, environmentObjects } from '../../charts/environments.ts';
import { type ChartName, type KubernetesObject, podValues, render, type Tree } from '../../charts/render.ts';

/* Everything that is rendered: what the environments deploy, and other supported settings. */

type Objects = readonly KubernetesObject[];

const image = { digest: `sha256:${'0'.repeat(64)}` };
/** The API server parses certificates; the placeholders of the other tests are not valid ones. */
const tls = { existingSecret: 'certificate' };
const triggers = {
  hours: {
    type: 'cron',
    metadata: { timezone: 'Etc/UTC', start: '0 8 * * *', end: '0 18 * * *', desiredReplicas: '6' },
  },
  load: {
    type: 'prometheus',
    metricType: 'AverageValue',
    metadata: { serverAddress: 'http://prometheus:9090', query: 'sum(rate(a[1m]))', threshold: '5' },
    authentication: 'prometheus-reader',
  },
};
const memory: Tree = { enabled: true, targetMemoryUtilizationPercentage: 70 };

const container: Tree = {
  env: [
    { name: 'MODE', value: 'fast' },
    { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } },
  ],
  envFrom: [{ prefix: 'A_', configMapRef: { name: 'one', optional: true } }, { secretRef: { name: 'two' } }],
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

const variants: readonly (readonly [ChartName, string, Tree])[] = [
  ['backend', 'backend', { image, spread: 'required', replicas: 1, secrets: { managedBy: 'sops' } }],
  [
    'backend',
    'backend',
    { spread: 'none', autoscaling: { enabled: true }, rollingUpdate: { maxSurge: '30%' } },
  ],
  ['backend', 'backend', { autoscaling: { enabled: true, kind: 'keda', keda: { triggers } } }],
  ['backend', 'backend', { ...podValues, ...container, autoscaling: memory }],
  ['backend', 'backend', { autoscaling: { ...memory, kind: 'keda' } }],
  ['frontend', 'frontend', { ...podValues, ...container }],
  ['devops', 'core', { monitoring: { enabled: true, labels: { release: 'stack' } } }],
  ['postgresql', 'database', { ...podValues, tls }],
  ['postgresql', 'database', { ...podValues, tls, kind: 'cloudnative-pg' }],
  ['frontend', 'frontend', { image, spread: 'required', ingress: { controller: 'none' } }],
  ['backend', 'backend', { secrets: { vault: { kind: 'static' } } }],
  ['frontend', 'frontend', { ingress: { controller: 'nginx', tls: { enabled: true } } }],
  ['frontend', 'frontend', { ingress: { forwardedDepth: 1, tls: { enabled: true } } }],
  ['frontend', 'frontend', { ingress: { kind: 'httproute', tls: { enabled: true } } }],
  ['traefik', 'core', { image, service: { type: 'NodePort', httpNodePort: 30080 } }],
  ['traefik', 'core', { kind: 'DaemonSet', trustedProxies: ['192.0.2.0/24'] }],
  ['postgresql', 'database', { image, persistence: { enabled: false }, tls, clients: { backend: null } }],
  [
    'postgresql',
    'database',
    {
      kind: 'cloudnative-pg',
      tls,
      cluster: {
        synchronousReplicas: 0,
        backup: { enabled: true, method: 'plugin', objectStore: { name: 'store' } },
      },
    },
  ],
  ['stand-in', 'core', { image, workload: { kind: 'StatefulSet' }, services: { one: { http: 80 } } }],
];

/** All of it, each object once: most are the same in several environments. */
export async function renderEverything(): Promise<Objects> {
  const environments = [
    ...deployed.map(([provider, environment]) => environmentObjects(provider, environment)),
    ...variants.map(([chart, namespace, values]) => render(chart, { namespace, values })),
  ];
  const objects = (await Promise.all(environments)).flat();
  return [...new Map(objects.map((object) => [JSON.stringify(object), object])).values()];
}
