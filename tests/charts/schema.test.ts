import { basename, dirname } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChartName, chartNames, isTree, merge, renderEach, required, type Tree } from './render.ts';
import { readSchema, type Schema } from './schema-leaves.ts';

const test = suite('values.schema.json');

type Wrong = readonly [chart: ChartName, path: string, value: unknown];

/** Wrong values, at least one for each pattern and each rule of several values. */
const rows: readonly (readonly [chart: ChartName, path: string, ...values: unknown[]])[] = [
  ['backend', 'replicas', 0],
  ['backend', 'image.tag', 'latest', 'v1@sha256:123'],
  ['backend', 'image.digest', 'sha256:123'],
  ['backend', 'image.repository', 'traefik/whoami:v1'],
  ['backend', 'priorityClassName', 'High'],
  ['backend', 'rollingUpdate', { maxUnavailable: 0, maxSurge: '0%' }],
  ['backend', 'rollingUpdate.maxSurge', '120%'],
  ['backend', 'database.podLabels.app', 'a b'],
  ['backend', 'database.host', 'a b'],
  ['backend', 'database.authority', '/etc/ssl/ca.crt'],
  ['backend', 'service.port', '70000', 70000],
  ['backend', 'resources.requests.cpu', '0'],
  ['backend', 'resources.limits.cpu', 1],
  ['backend', 'resources.limits.memory', '128 megabytes'],
  ['backend', 'secrets.managedBy', 'nobody'],
  ['backend', 'secrets.vault.refreshAfter', '10 seconds'],
  ['backend', 'secrets.vault.connection', 'default'],
  ['backend', 'front.release', 'App_Front'],
  ['backend', 'autoRollback', 'yes'],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cpu', metadata: { value: '80' } }],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cron', metadata: { desiredReplicas: 6 } }],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cron' }],
  // labels and annotations that selectors, policies and Reloader use
  ['backend', 'podLabels', { 'app.kubernetes.io/component': 'verification' }],
  ['frontend', 'podLabels', { 'helm.sh/chart': 'other' }],
  ['postgresql', 'podLabels', { 'cnpg.io/cluster': 'other' }],
  ['backend', 'podAnnotations', { 'secret.reloader.stakater.com/reload': 'other' }],
  ['frontend', 'podAnnotations', { 'checksum/configuration': '0' }],
  // the login and the security context
  ['backend', 'env', [{ name: 'DB_SSLMODE', value: 'disable' }], [{ name: 'A', value: 1 }], [{ name: 'A' }]],
  ['backend', 'envFrom', [{ secretRef: { name: 'a' }, configMapRef: { name: 'b' } }]],
  ['backend', 'securityContext', { runAsUser: 0 }],
  ['frontend', 'podSecurityContext', { runAsUser: 0 }],
  ['backend', 'extraVolumes', [{ name: 'host', hostPath: { path: '/' } }]],
  ['backend', 'extraVolumes', [{ name: 'database-authority', emptyDir: {} }]],
  ['frontend', 'extraVolumes', [{ name: 'two', emptyDir: {}, secret: {} }]],
  ['backend', 'extraVolumeMounts', [{ name: 'a', mountPath: '/etc/database/ca.crt' }]],
  ['backend', 'extraVolumeMounts', [{ name: 'a', mountPath: '/etc' }]],
  ['frontend', 'extraVolumeMounts', [{ name: 'a', mountPath: '/etc/nginx/k8s-deployment' }]],
  ['frontend', 'extraVolumeMounts', [{ name: 'a', mountPath: 'relative' }]],
  ['frontend', 'containerPorts.http', 8081],
  ['backend', 'readinessProbe.httpGet.path', 'ready'],
  ['backend', 'readinessProbe.httpGet.port', '8080'],
  ['frontend', 'livenessProbe.tcpSocket.port', '8080'],
  ['backend', 'imagePullSecrets', ['registry']],
  ['backend', 'livenessProbe.successThreshold', 2],
  ['frontend', 'startupProbe.successThreshold', 2],
  ['backend', 'tolerations', [{ effect: 'NoScheduling' }], [{ key: 'a', operator: 'Exists', value: 'b' }]],
  ['frontend', 'tolerations', [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 9 }], [{ value: 'b' }]],
  ['postgresql', 'tolerations', [{ key: 'a', tolerationSeconds: 9 }], [{ key: 'a', value: 'b c' }]],
  ['backend', 'tolerations', [{ key: '', value: 'b' }]],
  ['frontend', 'tolerations', [{ key: 'a b', operator: 'Exists' }]],
  ['backend', 'nodeSelector.pool', true],
  ['postgresql', 'serviceAccount.annotations.note', 1],
  ['devops', 'namespaces.Backend', { podSecurity: {} }],
  ['devops', 'namespaces.backend.isolate', ['Inward']],
  ['devops', 'namespaces.core.accept.metrics.ports', ['https']],
  ['devops', 'namespaces.core.accept.metrics.from', ['vault']],
  ['devops', 'namespaces.core.reach.api-server.to', [{ namespace: 'kube-system' }]],
  ['devops', 'namespaces.core.reach.other', { to: [{ namespace: 'vault' }] }],
  ['devops', 'namespaces.backend.quota', { 'requests.gpu': '1' }, { pods: 10 }],
  ['devops', 'outside.api-server.ranges', ['10.0.0.0/8'], [{ cidr: '10.0.0/8' }]],
  ['devops', 'teams.backend.groups', []],
  ['devops', 'teams.backend.operates', ['Backend']],
  ['devops', 'priorityClasses.k8s-deployment-platform.value', 2000000000],
  ['devops', 'databaseSecrets.app.password', 123],
  ['devops', 'monitoring.targets.app', { kind: 'PodMonitor', namespace: 'backend', port: 80, endpoint: {} }],
  ['devops', 'monitoring.targets.vault.kind', 'Probe'],
  ['frontend', 'ingress.host', 'a..b'],
  ['frontend', 'ingress.tls.enabled', 'maybe'],
  ['frontend', 'ingress.adminWhitelist', [], ['10.0.0.0'], ['0.0.0.0/0'], ['::/0']],
  ['frontend', 'ingress.publicWhitelist', ['10.0.0.0/33']],
  ['frontend', 'cluster.podCidr', '10.256.0.0/16', '0.0.0.0/0'],
  ['frontend', 'backend.release', 'a'.repeat(54)],
  // only the public route is open to everybody
  ['frontend', 'ingress.internalWhitelist', ['10.0.0.0/8', '0.0.0.0/0']],
  ['traefik', 'trustedProxies', ['proxy']],
  ['traefik', 'proxyProtocol', ['balancer']],
  ['traefik', 'gateway.certificates', [{ name: 'a' }]],
  ['postgresql', 'applications.App', { password: '' }],
  ['postgresql', 'applications.app', { password: 123 }],
  ['postgresql', 'issuers.vault', { password: '' }],
  ['postgresql', 'tls.certificate', 'postgresql.crt'],
  ['postgresql', 'tls.key', 'postgresql.key'],
  ['postgresql', 'password', '', 123],
  ['postgresql', 'user', 'postgres; DROP'],
  ['postgresql', 'persistence.size', '2GB'],
  ['postgresql', 'cluster.backup.schedule', '0 1 * * *'],
  ['metrics-server', 'resolutionSeconds', 5],
  ['vault', 'logLevel', 'loud'],
  ['vault', 'tlsSecret', ''],
  ['devops', 'certificates.vault-tls', { namespace: 'vault' }, { namespace: 'vault', clusterIssuer: 'ca' }],
  ['stand-in', 'vaultConnection.address', 'vault:8200'],
  ['stand-in', 'services.Vault', { http: 8200 }],
];

const wrong = rows.flatMap(([chart, path, ...values]) => values.map((value): Wrong => [chart, path, value]));

/** helm's error for each value; empty if it is accepted. */
async function errorsOf(values: readonly Wrong[]): Promise<string[]> {
  const parts = values.map(([chart, path, value]) => {
    const above = path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
    return { chart, values: merge(required[chart], above as Tree) };
  });
  return (await renderEach(parts)).map(({ error = '' }) => error);
}

test('a wrong value is refused and named', async () => {
  for (const [index, error] of (await errorsOf(wrong)).entries()) {
    const [chart, path, value] = wrong[index] as Wrong;
    // JSON pointers to the value, or to the map that must not contain it
    const pointer = `/${path.replaceAll('.', '/')}`;
    const [above, last] = [dirname(pointer).replace(/\/$/, ''), basename(pointer)];
    const named =
      error.includes(`'${pointer}`) ||
      // for an invalid key, helm's validator only reports the name
      [last, ...Object.keys(isTree(value) ? value : {})].some((name) =>
        error.includes(`invalid propertyName '${name}'`),
      ) ||
      (error.includes(`at '${above}'`) && error.includes(`'${last}'`));
    assert.ok(named, `${chart}: ${path} = ${JSON.stringify(value)}: helm says where\n${error}`);
  }
});

const closedMaps = ({ additionalProperties, properties = {} }: Schema, path = ''): string[] => [
  ...(additionalProperties === false ? [path] : []),
  ...Object.entries(properties).flatMap(([key, inner]) => closedMaps(inner, `${path}${key}.`)),
];

test('an unknown key is refused and named at every level', async () => {
  const unknown: Wrong[] = [];
  for (const chart of chartNames) {
    const places = closedMaps(await readSchema(chart));
    assert.is(places[0], '', `${chart} refuses unknown values at the top`);
    unknown.push(...places.map((place): Wrong => [chart, `${place}unheardOf`, 1]));
  }
  for (const [index, error] of (await errorsOf(unknown)).entries())
    assert.match(error, 'unheardOf', unknown[index]?.slice(0, 2).join(': '));
});

test('values without a default are required', async () => {
  const { host: _, ...ingress } = required.frontend.ingress;
  const incomplete: readonly (readonly [chart: ChartName, values: Tree, ...missing: string[]])[] = [
    ['frontend', {}, 'release', 'podCidr', 'adminWhitelist', 'host'],
    ['frontend', { ...required.frontend, ingress }, 'host'],
    ['backend', {}, 'managedBy', 'release', 'authority'],
    ['backend', { ...required.backend, secrets: { managedBy: 'vault' } }, 'path'],
    ['postgresql', {}, 'password'],
  ];
  const results = await renderEach(incomplete.map(([chart, values]) => ({ chart, values })));
  for (const [index, { error = '' }] of results.entries())
    for (const name of incomplete[index]?.slice(2) ?? []) assert.match(error, `'${name}'`);
});

test.run();
