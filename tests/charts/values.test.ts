import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChartName,
  merge,
  podValues,
  type Rendered,
  readYaml,
  renderEach,
  required,
  type Tree,
  variables,
} from './render.ts';
import { alternatives, leavesOf, readSchema, schemaPaths } from './schema-leaves.ts';

/*
 * No dead values: each value of each chart, including those only in the schema, is changed to another valid one, and
 * the rendered objects must change. The schema defines what is valid, so new values need no line here.
 */

const test = suite('values.yaml');

const trigger = {
  ...{ type: 'prometheus', metadata: { serverAddress: 'http://prometheus' } },
  ...{ metricType: 'Value', authentication: 'reader' },
};

const database = { namespace: 'backend', host: 'db', port: 5432, name: 'app', user: 'app', password: 'word' };

const handlers = {
  exec: { command: ['true'] },
  tcpSocket: { port: 'http' },
  grpc: { port: 9000, service: 'health' },
};
const http = { path: '/health', port: 'http', scheme: 'HTTP' };
const seconds = { initialDelaySeconds: 1, periodSeconds: 2, timeoutSeconds: 3 };
const probe = { ...seconds, httpGet: http, successThreshold: 1, failureThreshold: 4 };

/** Those of which every other choice is valid. */
const tolerations = [{ key: 'pool', operator: 'Equal', effect: 'NoExecute' }];

const kinds = 'configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret'.split(
  ' ',
);

const container: Tree = {
  ...variables,
  extraVolumes: kinds.map((kind, index) => ({ name: `volume${index}`, [kind]: {} })),
  extraVolumeMounts: [{ name: 'volume0', mountPath: '/work', subPath: 'here', readOnly: true }],
};
const pem = '-----BEGIN CERTIFICATE-----\none\n';
const key = '-----BEGIN PRIVATE KEY-----\none\n';
const objectStore = { configuration: { destinationPath: 's3://one/' } };
const probes = (values: Tree) => ({ startupProbe: values, readinessProbe: values, livenessProbe: values });

/**
 * Values with which a leaf has its effect. The first sets what the defaults lack (optional values, map entries),
 * and the others enable alternatives. One that shows an effect is enough.
 */
const variants: Readonly<Record<ChartName, readonly Tree[]>> = {
  backend: [
    {
      ...podValues,
      ...container,
      ...probes({ ...probe, ...handlers }),
      verification: { resources: podValues.resources },
      autoscaling: { keda: { triggers: { queue: trigger } } },
    },
    { ...probes(probe), tolerations },
    { autoscaling: { enabled: true, maxReplicas: 9, keda: { triggers: { queue: trigger } } } },
    { autoscaling: { enabled: true, kind: 'keda', maxReplicas: 9, keda: { triggers: { queue: trigger } } } },
    { secrets: { vault: { kind: 'static' } } },
  ],
  devops: [
    {
      databaseSecrets: { app: database },
      certificates: {
        own: { namespace: 'vault', authority: pem, certificate: pem, key },
        issued: { namespace: 'vault', clusterIssuer: 'ca', hosts: ['vault.svc', '127.0.0.1'] },
      },
      monitoring: { enabled: true, labels: { release: 'stack' }, prometheus: { podLabels: { app: 'one' } } },
      namespaces: {
        core: { reach: { one: { outside: 'other' }, two: { outside: '77m' } } },
        backend: { quota: { 'limits.cpu': '9', 'requests.storage': '9Gi', persistentvolumeclaims: '3' } },
        frontend: { quota: { 'services.nodeports': '0', 'services.loadbalancers': '0' } },
        // for a team
        other: { podSecurity: { enforce: 'baseline', audit: 'baseline', warn: 'baseline' } },
      },
      outside: {
        'api-server': { ranges: [{ cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] }], ports: [443] },
        // each can take the place of the other
        other: { ranges: [{ cidr: '192.0.2.0/24' }], ports: [9] },
        '77m': { ranges: [{ cidr: '198.51.100.0/24' }], ports: [9] },
      },
    },
    // a target in a namespace with policies
    { monitoring: { enabled: true, targets: { traefik: { namespace: 'core' } } } },
    { vaultBackup: { enabled: true } },
  ],
  frontend: [
    {
      ...podValues,
      ...container,
      ...probes({ ...probe, ...handlers }),
      ingress: { controllerLabels: { app: 'edge' }, tls: { enabled: true } },
    },
    { ...probes(probe), tolerations },
    { ingress: { controllerLabels: { app: 'edge' }, tls: { enabled: 'true' }, kind: 'httproute' } },
    { ingress: { controllerLabels: { app: 'edge' } } },
  ],
  'metrics-server': [{}],
  postgresql: [
    { ...podValues, applications: { app: { password: 'word' } }, issuers: { vault: { password: 'word' } } },
    { persistence: { enabled: false }, tolerations },
    // enough for another hundred
    { applications: { app: { password: 'word' } }, connectionsPerApplication: 100 },
    { kind: 'cloudnative-pg' },
    { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, objectStore: { name: 'store' } } } },
    { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, method: 'plugin', objectStore } } },
    ...['objectStore', 'volumeSnapshot'].map((from) => {
      const recovery = { from, snapshots: { storage: 'data', walStorage: 'log' } };
      return { kind: 'cloudnative-pg', cluster: { backup: { objectStore }, recovery } };
    }),
  ],
  'stand-in': [
    {
      vaultConnection: { address: 'https://vault:8200', caCertSecret: 'tls', tlsServerName: 'vault.svc' },
      transit: { enabled: true },
      clusterRoleBindings: { one: 'view' },
      services: { app: { http: 80 } },
    },
  ],
  traefik: [
    {
      trustedProxies: ['10.0.0.0/8'],
      proxyProtocol: ['10.0.0.0/8'],
      gateway: { enabled: true, certificates: [{ name: 'a', namespace: 'b' }] },
    },
    { service: { type: 'NodePort' } },
  ],
  vault: [{}],
};

const placed = (path: readonly (string | number)[], value: unknown, tree: unknown): unknown => {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(tree)) return tree.with(Number(key), placed(rest, value, tree[Number(key)]));
  return { ...(tree as Tree), [key]: placed(rest, value, (tree as Tree)?.[key]) };
};

for (const chart of Object.keys(variants) as ChartName[]) {
  test(`${chart}: every value has an effect, and every choice a different one`, async () => {
    const schema = await readSchema(chart);
    const defaults = await readYaml(`charts/${chart}/values.yaml`);
    const trees = variants[chart].map((variant) => merge(merge(defaults, required[chart]), variant));
    const leaves = leavesOf(schema, trees[0]);
    // entries of a map are alike: one of each place
    const places = new Map(leaves.map((leaf) => [leaf.place, leaf]));
    const without = schemaPaths(schema).filter((place) => !places.has(place));
    assert.equal(without, [], 'each value of the schema is given by a variant');
    let left = [...places.values()].flatMap((leaf) => {
      // Kubernetes has no other.
      if (/^(startup|liveness)Probe\.successThreshold$/.test(leaf.place)) return [];
      const others = alternatives(leaf.schema, leaf.value);
      assert.ok(others.length > 0, `${leaf.path.join('.')}: no other valid value is known`);
      return others.map((other) => ({ leaf, other, said: [] as string[] }));
    });
    for (const tree of trees) {
      const changed = left.map(({ leaf, other }) => placed(leaf.path, other, tree) as Tree);
      const [base, ...results] = await renderEach([tree, ...changed].map((values) => ({ chart, values })));
      assert.is(base?.error, undefined);
      left = left.filter(({ said }, index) => {
        const { text, error } = results[index] as Rendered;
        if (error !== undefined) said.push(error);
        return error !== undefined || text === base?.text;
      });
    }
    const dead = left.map(({ leaf, other, said }) =>
      [leaf.path.join('.'), '=', JSON.stringify(other), ...said].join(' '),
    );
    assert.equal(dead, []);
    assert.ok(leaves.length > 10);
  });
}

test.run();
