import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChartName,
  type KubernetesObject,
  merge,
  objectsOf,
  only,
  render,
  required,
  type Tree,
} from './render.ts';
import { renderEach } from './render-each.ts';
import { inPairs } from './tools.ts';

const test = suite('names');

// helm allows 53 characters, dots and a leading digit; the last names could clash with other objects
const long = 'a-release-with-the-longest-name-that-helm-would-accept';
const releases = [
  long.slice(0, 53),
  `${long.slice(0, 52)}x`,
  'a.b',
  'a-b',
  '1app',
  'app',
  ...['admin', 'database', 'internal', 'public', 'server', 'superuser', 'transit', 'verification'].map(
    (suffix) => `app-${suffix}`,
  ),
];

const variants: readonly (readonly [ChartName, Tree])[] = [
  ['backend', { autoscaling: { enabled: true } }],
  ['backend', { autoscaling: { enabled: true, kind: 'keda' } }],
  ['frontend', { ingress: { controller: 'traefik' } }],
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
let rendered: Promise<KubernetesObject[][][]> | undefined;

/** The objects of every variant, by release. */
function allOfThem(): Promise<KubernetesObject[][][]> {
  rendered ??= inPairs(releases, async (release) =>
    (await renderEach(parts, { release })).map(({ text, error }) => {
      assert.is(error, undefined, release);
      return objectsOf(text);
    }),
  );
  return rendered;
}

for (const [position, [chart]] of variants.entries()) {
  const ofReleases = async () => (await allOfThem()).map((variant) => variant[position] ?? []);

  test(`${chart}: any release name gives valid names, and labels of at most 63 characters`, async () => {
    for (const [index, objects] of (await ofReleases()).entries()) {
      const release = releases[index];
      for (const object of objects) {
        const { kind, metadata } = object;
        assert.match(metadata.name, /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, `${kind} of ${release}`);
        // limit of CloudNativePG
        if (kind === 'Cluster') assert.ok(metadata.name.length <= 50, `${kind} of ${release}`);
        // the label controller-revision-hash of its pods has the name plus ten characters
        if (kind === 'StatefulSet') assert.ok(metadata.name.length <= 52, `${kind} of ${release}`);
        for (const [label, value] of Object.entries(metadata.labels ?? {})) {
          assert.match(value, /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/, `${label} of ${release}`);
        }
        if ((/^Cluster/.test(kind) && kind !== 'Cluster') || kind === 'IngressClass') continue;
        // the namespace in which the API server publishes its client CA
        const elsewhere = chart === 'metrics-server' && kind === 'RoleBinding';
        assert.is(metadata.namespace, elsewhere ? 'kube-system' : 'here', key(object));
      }
    }
  });

  test(`${chart}: two releases in one namespace share no objects and select only their own pods`, async () => {
    const found = await ofReleases();
    const names = found
      .flat()
      .filter(({ kind, metadata }) => kind !== 'IngressClass' && !isHeadless(chart, metadata.name))
      .map(key);
    assert.equal([...new Set(names)].length, names.length);
    const selectors = found.map((objects) => {
      const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
      // pods of a Cluster have its name as a label
      const cluster = objects.find(({ kind }) => kind === 'Cluster');
      return JSON.stringify(workload?.spec.selector.matchLabels ?? cluster?.metadata.name);
    });
    assert.is(new Set(selectors).size, releases.length);
  });
}

test('a front finds the Service of its backend, whatever the release is called', async () => {
  const values = (release: string) => merge(required.frontend, { backend: { release } });
  const fronts = await renderEach(
    releases.map((release) => ({ chart: 'frontend' as const, values: values(release) })),
  );
  for (const [index, { text }] of fronts.entries()) {
    const front = objectsOf(text);
    const service = only((await allOfThem())[index]?.[0] ?? [], 'Service').metadata.name;
    const { 'nginx.conf': configuration } = only(front, 'ConfigMap').data;
    assert.match(configuration, `set $backend "${service}.backend.svc.cluster.local:80";`);
    const backend = only(front, 'NetworkPolicy').spec.egress[0].to[0].podSelector.matchLabels;
    assert.is(backend['app.kubernetes.io/instance'], releases[index]);
  }
});

test('names of installed releases do not change', async () => {
  const found = async (chart: ChartName, release: string, values: Tree = {}) =>
    (await render(chart, { release, values })).map(key).sort();
  assert.equal(await found('backend', 'app1-back'), [
    'ConfigMap/app1-back-database-authority',
    'Deployment/app1-back',
    'Job/app1-back-verification',
    'NetworkPolicy/app1-back-server',
    'NetworkPolicy/app1-back-verification',
    'PodDisruptionBudget/app1-back',
    'Service/app1-back',
    'ServiceAccount/app1-back',
    'VaultAuth/app1-back',
    'VaultDynamicSecret/app1-back-database',
  ]);
  assert.equal(await found('postgresql', 'postgresql'), [
    'ConfigMap/postgresql-server',
    'ConfigMap/postgresql-set-up',
    'Job/postgresql-set-up',
    'NetworkPolicy/postgresql-server',
    'NetworkPolicy/postgresql-set-up',
    'Secret/postgresql-set-up',
    'Secret/postgresql-superuser',
    'Secret/postgresql-tls',
    'Service/postgresql',
    'ServiceAccount/postgresql',
    'StatefulSet/postgresql',
  ]);
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
  const changeable = ['replicas', 'ordinals', 'template', 'updateStrategy', 'minReadySeconds'];
  const kept = async (chart: ChartName, release: string, values: Tree = {}) => {
    const { spec } = only(await render(chart, { release, values }), 'StatefulSet');
    const fields = Object.entries(spec).filter(([field]) => !changeable.includes(field));
    return Object.fromEntries(fields.filter(([field]) => field !== 'persistentVolumeClaimRetentionPolicy'));
  };
  const labels = {
    'app.kubernetes.io/name': 'postgresql',
    'app.kubernetes.io/instance': 'postgresql',
    'app.kubernetes.io/component': 'server',
  };
  assert.equal(await kept('postgresql', 'postgresql'), {
    serviceName: 'postgresql',
    revisionHistoryLimit: 5,
    selector: { matchLabels: labels },
    volumeClaimTemplates: [
      {
        metadata: { name: 'data', labels },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } },
      },
    ],
  });
  assert.equal(await kept('stand-in', 'vault', { workload: { kind: 'StatefulSet' } }), {
    serviceName: 'vault',
    selector: {
      matchLabels: { 'app.kubernetes.io/name': 'stand-in', 'app.kubernetes.io/instance': 'vault' },
    },
  });
});

test.run();
