import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChartName, chartNames, isTree, type Tree, tryRender } from './render.ts';
import { cleanUp, inPairs, root } from './tools.ts';

const test = suite('values.schema.json');
test.after(cleanUp);

const placed = (path: string, value: unknown): Tree =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;

/** Wrong values, each with the place that helm's error must name. */
const wrong: readonly (readonly [chart: ChartName, path: string, value: unknown])[] = [
  ['backend', 'replicas', 0],
  ['backend', 'replicas', '2'],
  ['backend', 'spread', 'everywhere'],
  ['backend', 'image.tag', 'latest'],
  ['backend', 'image.pullPolicy', 'Sometimes'],
  ['backend', 'image.digest', 'sha256:123'],
  ['backend', 'image.repository', 'traefik/whoami:v1'],
  ['backend', 'image.tag', 'v1@sha256:123'],
  ['backend', 'priorityClassName', 'High'],
  ['backend', 'rollingUpdate', { maxUnavailable: 0, maxSurge: '0%' }],
  ['backend', 'database.podLabels.app', 'a b'],
  ['backend', 'service.port', '70000'],
  ['backend', 'resources.requests.cpu', '0'],
  ['backend', 'resources.limits.memory', '128 megabytes'],
  ['backend', 'resources.limits.cpu', 1],
  ['backend', 'rollingUpdate.maxSurge', '120%'],
  ['backend', 'secrets.managedBy', 'nobody'],
  ['backend', 'secrets.managedBy', ''],
  ['backend', 'secrets.vault.refreshAfter', '10 seconds'],
  ['backend', 'secrets.vault.kind', 'both'],
  ['backend', 'secrets.vault.renewalPercent', 100],
  ['backend', 'database.host', 'a b'],
  ['backend', 'database.authority', '/etc/ssl/ca.crt'],
  ['backend', 'secrets.vault.connection', 'default'],
  ['backend', 'front.release', 'App_Front'],
  ['backend', 'service.port', 70000],
  ['backend', 'verification.timeoutSeconds', 0],
  ['backend', 'autoRollback', 'yes'],
  ['backend', 'autoscaling.minReplicas', 0],
  ['backend', 'autoscaling.kind', 'vpa'],
  ['backend', 'autoscaling.behavior.scaleDown.stabilizationSeconds', 3601],
  ['backend', 'autoscaling.behavior.scaleUp.pods', 0],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cpu', metadata: { value: '80' } }],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cron', metadata: { desiredReplicas: 6 } }],
  ['backend', 'autoscaling.keda.triggers.queue', { type: 'cron' }],
  ['devops', 'namespaces.backend.podSecurity.enforce', 'strict'],
  ['devops', 'namespaces.backend.isolate', ['Inward']],
  ['devops', 'namespaces.backend.limits.max.memory', '500'],
  ['devops', 'namespaces.core.accept.metrics.ports', ['https']],
  ['devops', 'namespaces.core.accept.metrics.from', ['vault']],
  ['devops', 'namespaces.core.reach.api-server.to', [{ namespace: 'kube-system' }]],
  ['devops', 'namespaces.core.reach.other', { to: [{ namespace: 'vault' }] }],
  ['devops', 'namespaces.backend.quota', { 'requests.gpu': '1' }],
  ['devops', 'namespaces.backend.quota', { pods: 10 }],
  ['devops', 'outside.api-server.ranges', ['10.0.0.0/8']],
  ['devops', 'outside.api-server.ranges', [{ cidr: '10.0.0/8' }]],
  ['devops', 'teams.backend.groups', []],
  ['devops', 'teams.backend.operates', ['Backend']],
  ['devops', 'teams.backend.administers', ['backend']],
  ['devops', 'priorityClasses.k8s-deployment-platform.value', 2000000000],
  ['devops', 'namespaces.Backend', { podSecurity: {} }],
  ['devops', 'databaseSecrets.app.namespace', 'Backend'],
  ['devops', 'databaseSecrets.app.password', 123],
  ['frontend', 'ingress.controller', 'apache'],
  ['frontend', 'ingress.host', 'app front'],
  ['frontend', 'ingress.adminWhitelist', []],
  ['frontend', 'ingress.adminWhitelist', ['10.0.0.0']],
  ['frontend', 'ingress.publicWhitelist', ['10.0.0.0/33']],
  ['frontend', 'cluster.podCidr', 'pods'],
  ['frontend', 'cluster.podCidr', '10.256.0.0/16'],
  ['frontend', 'ingress.host', 'a..b'],
  ['frontend', 'backend.release', 'a'.repeat(54)],
  ['frontend', 'backend.timeoutSeconds', '30s'],
  ['frontend', 'ingress.kind', 'gateway'],
  ['frontend', 'ingress.tls.enabled', 'maybe'],
  ['frontend', 'ingress.forwardedDepth', -1],
  // only the public route is open to everybody
  ['frontend', 'ingress.adminWhitelist', ['0.0.0.0/0']],
  ['frontend', 'ingress.adminWhitelist', ['::/0']],
  ['frontend', 'ingress.internalWhitelist', ['10.0.0.0/8', '0.0.0.0/0']],
  ['frontend', 'cluster.podCidr', '0.0.0.0/0'],
  ['traefik', 'kind', 'StatefulSet'],
  ['traefik', 'service.type', 'ExternalName'],
  ['traefik', 'trustedProxies', ['proxy']],
  ['traefik', 'gateway.certificates', [{ name: 'a' }]],
  ['postgresql', 'applications.App', { password: '' }],
  ['postgresql', 'applications.app', { password: 123 }],
  ['postgresql', 'issuers.vault', { password: '' }],
  ['postgresql', 'tls.certificate', 'postgresql.crt'],
  ['postgresql', 'tls.key', 'postgresql.key'],
  ['postgresql', 'password', ''],
  ['postgresql', 'password', 123],
  ['postgresql', 'user', 'postgres; DROP'],
  ['postgresql', 'persistence.size', '2GB'],
  ['postgresql', 'service.port', 'postgresql'],
  ['postgresql', 'kind', 'daemon-set'],
  ['postgresql', 'cluster.instances', 0],
  ['postgresql', 'cluster.backup.method', 'tape'],
  ['postgresql', 'cluster.backup.schedule', '0 1 * * *'],
  ['postgresql', 'cluster.operator.podLabels.app', 'a b'],
  ['metrics-server', 'resolutionSeconds', 5],
  ['metrics-server', 'kubelet.verifyCertificates', 'no'],
  ['vault', 'persistence.size', '1GB'],
  ['vault', 'logLevel', 'loud'],
  ['vault', 'terminationGracePeriodSeconds', 3],
  ['stand-in', 'workload.kind', 'DaemonSet'],
  ['stand-in', 'vaultAddress', 'vault:8200'],
  ['stand-in', 'services.Vault', { http: 8200 }],
];

test('a wrong value is refused and named', async () => {
  await inPairs(wrong, async ([chart, path, value]) => {
    const ended = await tryRender(chart, { values: placed(path, value) });
    const label = `${chart}: ${path} = ${JSON.stringify(value)}`;
    assert.is.not(ended.exitCode, 0, label);
    // JSON pointers to the value, or to the map that must not contain it
    const pointer = `/${path.split('.').join('/')}`;
    const above = pointer.slice(0, pointer.lastIndexOf('/'));
    const last = path.split('.').at(-1) ?? '';
    const named =
      ended.stderr.includes(`'${pointer}`) ||
      // for an invalid key, helm's validator only reports the name
      ended.stderr.includes(`invalid propertyName '${last}'`) ||
      (ended.stderr.includes(`at '${above}'`) && ended.stderr.includes(`'${last}'`));
    assert.ok(named, `${label}: helm says where\n${ended.stderr}`);
  });
});

/** Paths of maps with fixed keys: the root, and each map in the defaults. */
async function mapsOf(chart: ChartName): Promise<string[]> {
  type Schema = { properties?: Record<string, Schema>; additionalProperties?: unknown; $ref?: string };
  const schema = JSON.parse(
    await readFile(join(root, 'charts', chart, 'values.schema.json'), 'utf8'),
  ) as Schema & {
    definitions: Record<string, Schema>;
  };
  const found: string[] = [];
  const walk = (node: Schema, path: string[]): void => {
    const resolved = node.$ref ? (schema.definitions[node.$ref.split('/').at(-1) ?? ''] ?? {}) : node;
    if (resolved.additionalProperties === false) found.push(path.join('.'));
    for (const [key, inner] of Object.entries(resolved.properties ?? {})) {
      if (isTree(inner)) walk(inner, [...path, key]);
    }
  };
  walk(schema, []);
  return found;
}

test('an unknown key is refused and named at every level', async () => {
  for (const chart of chartNames) {
    const places = await mapsOf(chart);
    assert.ok(places.includes(''), `${chart} refuses unknown values at the top`);
    await inPairs(places, async (place) => {
      const path = place === '' ? 'unheardOf' : `${place}.unheardOf`;
      const ended = await tryRender(chart, { values: placed(path, 1) });
      assert.is.not(ended.exitCode, 0, `${chart}: ${path}`);
      assert.match(ended.stderr, 'unheardOf');
    });
  }
});

const missing: readonly (readonly [chart: ChartName, base: Tree, name: string])[] = [
  [
    'frontend',
    { backend: { release: 'b' }, cluster: { podCidr: '10.0.0.0/8' }, ingress: { host: 'h' } },
    'adminWhitelist',
  ],
  [
    'frontend',
    {
      backend: { release: 'b' },
      cluster: { podCidr: '10.0.0.0/8' },
      ingress: { adminWhitelist: ['10.0.0.0/8'] },
    },
    'host',
  ],
  ['backend', { front: { release: 'f' } }, 'managedBy'],
  ['backend', { front: { release: 'f' }, secrets: { managedBy: 'vault' } }, 'path'],
  ['backend', { secrets: { managedBy: 'sops' } }, 'release'],
  ['postgresql', {}, 'password'],
];

test('values without a default are required', async () => {
  for (const [chart, base, name] of missing) {
    const ended = await tryRender(chart, { base });
    assert.is.not(ended.exitCode, 0, `${chart} without ${name}`);
    assert.match(ended.stderr, `'${name}'`);
  }
});

test.run();
