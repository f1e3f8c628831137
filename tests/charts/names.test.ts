import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChartName,
  type KubernetesObject,
  merge,
  objectsOf,
  only,
  render,
  renderEach,
  required,
  type Tree,
} from './render.ts';
import { inPairs, once } from './tools.ts';

const test = suite('names');

// helm allows 53 characters, dots and a leading digit; the last names could clash with other objects
const long = 'a-release-with-the-longest-name-that-helm-would-accept';
const releases = [
  long.slice(0, 53),
  `${long.slice(0, 52)}x`,
  ...['a.b', 'a-b', '1app', 'app'],
  ...['admin', 'database', 'internal', 'public', 'server', 'superuser', 'transit', 'verification'].map(
    (suffix) => `app-${suffix}`,
  ),
];

const variants: readonly (readonly [ChartName, Tree])[] = [
  ['backend', { autoscaling: { enabled: true } }],
  ['backend', { autoscaling: { enabled: true, kind: 'keda' } }],
  ['frontend', { ingress: { controller: 'traefik' } }],
  ['frontend', { ingress: { kind: 'httproute', tls: { enabled: true, secretName: 'shared' } } }],
  // a cluster has only one metrics API
  ['metrics-server', { apiService: { enabled: false } }],
  ['postgresql', {}],
  ['postgresql', { kind: 'cloudnative-pg', cluster: { backup: { enabled: true } } }],
  ['vault', {}],
  // fixed names: others look up VaultConnection `default` and these Services by name
  ['stand-in', { workload: { kind: 'StatefulSet' } }],
  // fixed name: Ingresses refer to the class by name
  ['traefik', {}],
];

/** Vault's Service for its members has the upstream chart's name, which certificates contain. */
const isHeadless = (chart: ChartName, name: string): boolean => chart === 'vault' && name === 'app-internal';

const key = ({ kind, metadata }: KubernetesObject): string => `${kind}/${metadata.name}`;

const parts = variants.map(([chart, values]) => ({ chart, values: merge(required[chart], values) }));

const allOfThem = once(() =>
  inPairs(releases, async (release) =>
    (await renderEach(parts, { release })).map(({ text, error }) => {
      assert.is(error, undefined, release);
      return objectsOf(text);
    }),
  ),
);

for (const [position, [chart]] of variants.entries())
  test(`${chart}: any release name gives valid names of its own, and selects only its own pods`, async () => {
    const found = (await allOfThem()).map((variant) => variant[position] ?? []);
    const names: string[] = [];
    for (const [index, objects] of found.entries())
      for (const object of objects) {
        const { kind, metadata } = object;
        const label = `${kind} of ${releases[index]}`;
        assert.match(metadata.name, /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, label);
        // limit of CloudNativePG
        if (kind === 'Cluster') assert.ok(metadata.name.length <= 50, label);
        // the label controller-revision-hash of its pods has the name plus ten characters
        if (kind === 'StatefulSet') assert.ok(metadata.name.length <= 52, label);
        for (const value of Object.values(metadata.labels ?? {}))
          assert.match(value, /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/, label);
        if (kind === 'IngressClass') continue;
        if (!isHeadless(chart, metadata.name)) names.push(key(object));
        if (/^Cluster./.test(kind)) continue;
        // the namespace in which the API server publishes its client CA
        const elsewhere = chart === 'metrics-server' && kind === 'RoleBinding';
        assert.is(metadata.namespace, elsewhere ? 'kube-system' : 'here', label);
      }
    assert.is(new Set(names).size, names.length);
    const selectors = found.map((objects) => {
      const workload = objects.find(({ kind }) => /^(Deployment|StatefulSet|Cluster)$/.test(kind));
      // pods of a Cluster have its name as a label
      return JSON.stringify(workload?.spec.selector?.matchLabels ?? workload?.metadata.name);
    });
    assert.is(new Set(selectors).size, releases.length);
  });

test('a front finds the Service of its backend, whatever the release is called', async () => {
  const backends = releases.map((release) => merge(required.frontend, { backend: { release } }));
  const fronts = await renderEach(backends.map((values) => ({ chart: 'frontend' as const, values })));
  for (const [index, { text }] of fronts.entries()) {
    const front = objectsOf(text);
    const service = only((await allOfThem())[index]?.[0] ?? [], 'Service').metadata.name;
    const address = `set $backend "${service}.backend.svc.cluster.local:80";`;
    assert.match(only(front, 'ConfigMap').data['nginx.conf'], address);
    const backend = only(front, 'NetworkPolicy').spec.egress[0].to[0].podSelector.matchLabels;
    assert.is(backend['app.kubernetes.io/instance'], releases[index]);
  }
});

test('cluster-scoped objects of releases in different namespaces have different names', async () => {
  for (const { chart, values } of parts.filter(({ chart }) => /metrics-server|vault/.test(chart))) {
    const [here = [], there = []] = await Promise.all(
      ['here', 'there'].map(async (namespace) =>
        (await render(chart, { namespace, values }))
          .filter(({ metadata }) => metadata.namespace !== namespace)
          .map(key),
      ),
    );
    assert.ok(here.length > 0 && !here.some((name) => there.includes(name)), chart);
  }
});

test('immutable fields of StatefulSets stay the same, so that installed releases can be upgraded', async () => {
  const kept = async (chart: ChartName, release: string, values: Tree = {}) => {
    const { spec } = only(await render(chart, { release, values }), 'StatefulSet');
    const { replicas, template, updateStrategy, persistentVolumeClaimRetentionPolicy, ...fields } = spec;
    return fields;
  };
  const name = (of: string) => `app.kubernetes.io/${of}`;
  const release = { [name('name')]: 'postgresql', [name('instance')]: 'postgresql' };
  const labels = { ...release, [name('component')]: 'server' };
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } };
  assert.equal(await kept('postgresql', 'postgresql'), {
    serviceName: 'postgresql',
    revisionHistoryLimit: 5,
    selector: { matchLabels: labels },
    volumeClaimTemplates: [{ metadata: { name: 'data', labels }, spec: claim }],
  });
  assert.equal(await kept('stand-in', 'vault', { workload: { kind: 'StatefulSet' } }), {
    serviceName: 'vault',
    selector: { matchLabels: { [name('name')]: 'stand-in', [name('instance')]: 'vault' } },
  });
});

test.run();
