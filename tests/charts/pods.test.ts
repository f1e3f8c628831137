import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { selects } from '../network/verdict.ts';
import { environmentObjects } from './environments.ts';
import {
  type ChartName,
  type KubernetesObject,
  ofKind,
  only,
  podOf,
  podTemplateOf,
  podTemplates,
  podValues,
  render,
  type Tree,
} from './render.ts';
import { root } from './tools.ts';

/* What the pods of all charts share. API servers check their Pod Security in tests/integration/charts. */

const test = suite('pods');

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const image = { repository: 'registry.example/some/image', tag: '1.2', digest };

const charts: readonly (readonly [ChartName, Tree])[] = [
  ['backend', { image, verification: { image }, autoscaling: { enabled: true } }],
  ['frontend', { image }],
  ['metrics-server', { image }],
  ['postgresql', { image }],
  ['stand-in', { image, services: { app: { http: 80 } } }],
  ['traefik', { image }],
  ['vault', { image }],
];

/** Pods that call the API server and have a token for it. */
const askers: readonly ChartName[] = ['metrics-server', 'traefik', 'vault'];

for (const [chart, values] of charts)
  test(`${chart}: pods have the image of the values, no service links, a token only if they need one, probes, one selector`, async () => {
    const all = await render(chart, { values });
    for (const [name, pod] of podTemplates(all)) {
      assert.ok(pod.securityContext.runAsUser > 0, name);
      assert.is(pod.automountServiceAccountToken, askers.includes(chart), name);
      assert.is(pod.enableServiceLinks, false, name);
      for (const container of pod.containers) {
        assert.is(container.image, `registry.example/some/image:1.2@${digest}`, name);
        assert.is(container.securityContext.readOnlyRootFilesystem, true, name);
        const { requests, limits } = container.resources;
        assert.ok(requests.memory && limits.memory, name);
      }
    }
    const { spec } = workloadOf(all);
    assert.is(spec.revisionHistoryLimit, 5);
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      assert.ok(chart === 'stand-in' || spec.template.spec.containers[0][probe], probe);
    // Service, budget, spread and workload share one selector, free of versions.
    const { matchLabels: selector } = spec.selector;
    assert.not.ok(Object.keys(selector).some((label) => /version|chart/.test(label)));
    assert.ok(selects(spec.selector, spec.template.metadata.labels));
    for (const service of ofKind(all, 'Service')) assert.equal(service.spec.selector, selector);
    for (const budget of ofKind(all, 'PodDisruptionBudget'))
      assert.equal(budget.spec.selector.matchLabels, selector);
    const { topologySpreadConstraints = [], affinity } = spec.template.spec;
    const { preferredDuringSchedulingIgnoredDuringExecution: terms = [] } = affinity?.podAntiAffinity ?? {};
    for (const one of [...topologySpreadConstraints, ...terms])
      assert.equal((one.podAffinityTerm ?? one).labelSelector.matchLabels, selector);
  });

function workloadOf(objects: readonly KubernetesObject[]): KubernetesObject {
  const [workload] = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  assert.ok(workload);
  return workload;
}

test('servers and their Jobs run where the values say; labels and annotations are for servers only', async () => {
  const { podLabels, podAnnotations, serviceAccount, resources, ...place } = podValues;
  const values = { ...place, podLabels, podAnnotations };
  const [label = '', note = ''] = [...Object.keys(podLabels), ...Object.keys(podAnnotations)];
  for (const chart of ['backend', 'frontend', 'postgresql'] as const)
    for (const { kind, spec } of (await render(chart, { values })).filter(podTemplateOf)) {
      const { imagePullSecrets, nodeSelector, tolerations } = spec.template.spec;
      assert.equal({ imagePullSecrets, nodeSelector, tolerations }, place, `${kind} of ${chart}`);
      const { labels, annotations = {} } = spec.template.metadata;
      const isMarked = [label in labels, note in annotations];
      assert.equal(isMarked, Array(2).fill(kind !== 'Job'), `${kind} of ${chart}`);
    }
  const database = await render('postgresql', { values: { kind: 'cloudnative-pg', ...values } });
  const { imagePullSecrets, affinity, inheritedMetadata } = only(database, 'Cluster').spec;
  const { nodeSelector, tolerations } = affinity;
  assert.equal({ imagePullSecrets, nodeSelector, tolerations }, place);
  assert.equal(inheritedMetadata, { labels: podLabels, annotations: podAnnotations });
});

// That of backends and fronts: helmfile.test.ts.
test('Traefik drains before it stops, and has time for the longest request of a front', async () => {
  const objects = await render('traefik', { values: { drainSeconds: 40 } });
  const { terminationGracePeriodSeconds, containers } = podOf(objects);
  const [{ lifecycle, args }] = containers;
  assert.is(lifecycle.preStop.sleep.seconds, 40);
  assert.ok(terminationGracePeriodSeconds > 40 + 30);
  for (const entry of ['web', 'websecure'])
    assert.ok(args.includes(`--entrypoints.${entry}.transport.lifecycle.gracetimeout=35s`), entry);
});

test('applications are spread over nodes and zones', async () => {
  const zone = 'topology.kubernetes.io/zone ScheduleAnyway';
  for (const chart of ['backend', 'frontend'] as const)
    for (const [spread, ...expected] of [
      ['preferred', 'kubernetes.io/hostname ScheduleAnyway', zone],
      ['required', 'kubernetes.io/hostname DoNotSchedule', zone],
      ['none'],
    ] as const) {
      const { topologySpreadConstraints = [], affinity } = podOf(await render(chart, { values: { spread } }));
      const found = topologySpreadConstraints.map(
        (one: Tree) => `${one.topologyKey} ${one.whenUnsatisfiable}`,
      );
      assert.equal(found, expected);
      // It knows no revisions: an update would wait forever for a node without a pod of the old one.
      assert.is(affinity?.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution, undefined);
    }
});

test('a disruption budget exists only with two pods or more', async () => {
  for (const [chart, values, count] of [
    ['backend', { replicas: 1 }, 0],
    ['backend', { replicas: 2 }, 1],
    ['backend', { replicas: 1, autoscaling: { enabled: true, minReplicas: 2 } }, 1],
    ['backend', { replicas: 2, autoscaling: { enabled: true, minReplicas: 1 } }, 0],
    ['frontend', { replicas: 1 }, 0],
    ['frontend', { replicas: 2 }, 1],
  ] as const)
    assert.is(ofKind(await render(chart, { values }), 'PodDisruptionBudget').length, count);
});

test('pods use the PriorityClass of their kind, which devops creates', async () => {
  const objects = await environmentObjects('embedded');
  const priority = (workload: string): number => {
    const { priorityClassName } = podOf(objects, ...workload.split(' '));
    return only(objects, 'PriorityClass', priorityClassName).value;
  };
  const database = priority('StatefulSet postgresql');
  for (const application of ['Deployment app1-back', 'Job app1-back-verification', 'Deployment app2-front'])
    assert.ok(database > priority(application));
  for (const platform of ['StatefulSet vault', 'Deployment metrics-server', 'Deployment reloader-reloader'])
    assert.ok(priority(platform) > database);
});

test('every simulated object and pod is marked as such', async () => {
  const values = { services: { app: { http: 80 } }, vaultConnection: { address: 'https://vault:8200' } };
  const objects = await render('stand-in', { values });
  const { metadata } = only(objects, 'Deployment').spec.template;
  for (const { labels } of [metadata, ...objects.map((object) => object.metadata)])
    assert.is(labels['k8s-deployment/simulated'], 'true');
  assert.is(metadata.annotations['k8s-deployment/simulated'], 'true');
});

test('tests/e2e/lab-images.sh creates exactly the images of the environment lab', async () => {
  const script = await readFile(join(root, 'tests/e2e/lab-images.sh'), 'utf8');
  const made = [...script.matchAll(/^\S+ (\S+\/\S+:\S+)$/gm)].map(([, name]) => name ?? '');
  const used = podTemplates(await environmentObjects('existing', 'lab')).flatMap(([, pod]) =>
    pod.containers.map((container: { image: string }) =>
      /^[^/]+\./.test(container.image) ? container.image : `docker.io/${container.image}`,
    ),
  );
  // The base of the others, the ingress controller (not a release), and the pause image.
  const own = ['docker.io/library/debian:bookworm-slim', 'docker.io/library/traefik:v3.6.12'];
  const there = ['registry.k8s.io/pause:3.10'];
  assert.equal(
    made.filter((name) => !own.includes(name)).sort(),
    [...new Set<string>(used)].filter((name) => !there.includes(name)).sort(),
  );
});

test.run();
