import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type KubernetesObject,
  objectsOf,
  ofKind,
  only,
  render,
  renderEnvironment,
  required,
} from './render.ts';
import { cleanUp } from './tools.ts';

const test = suite('selectors');
test.after(cleanUp);

type Labels = Readonly<Record<string, string>>;
type Pod = { readonly owner: string; readonly namespace: string; readonly labels: Labels };

const selects = (selector: Labels | undefined, labels: Labels): boolean =>
  Object.entries(selector ?? {}).every(([label, value]) => labels[label] === value);

/** Pods that the objects would make. */
function podsOf(objects: readonly KubernetesObject[]): Pod[] {
  return objects
    .filter((object) => object.spec?.template?.metadata)
    .map((object) => ({
      owner: `${object.kind} ${object.metadata.name}`,
      namespace: object.metadata.namespace ?? '',
      labels: object.spec.template.metadata.labels as Labels,
    }));
}

/** The labels by which an object picks pods. */
function selectorOf(object: KubernetesObject): Labels | undefined {
  if (object.kind === 'Service') return object.spec.selector;
  if (object.kind === 'NetworkPolicy') return object.spec.podSelector.matchLabels;
  return object.spec?.selector?.matchLabels;
}

for (const chart of ['backend', 'frontend', 'postgresql', 'stand-in'] as const) {
  test(`${chart}: Service, budget, policy, spread and workload share one selector, free of versions`, async () => {
    const values =
      chart === 'backend'
        ? { autoscaling: { enabled: true } }
        : chart === 'stand-in'
          ? { services: { app: { http: 80 } } }
          : {};
    const objects = await render(chart, { values });
    const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    const selector = workload?.spec.selector.matchLabels as Labels;
    assert.not.ok(Object.keys(selector).some((label) => /version|chart/.test(label)));
    assert.ok(selects(selector, workload?.spec.template.metadata.labels));
    for (const object of objects) {
      if (['Service', 'PodDisruptionBudget'].includes(object.kind))
        assert.equal(selectorOf(object), selector, object.kind);
    }
    const pod = workload?.spec.template.spec;
    for (const constraint of pod.topologySpreadConstraints ?? []) {
      assert.equal(constraint.labelSelector.matchLabels, selector);
    }
    const affinity = pod.affinity?.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const term of affinity) assert.equal(term.podAffinityTerm.labelSelector.matchLabels, selector);
    for (const policy of ofKind(objects, 'NetworkPolicy')) {
      const selected = podsOf(objects).filter(({ labels }) => selects(selectorOf(policy), labels));
      assert.is(selected.length, 1, `NetworkPolicy ${policy.metadata.name}`);
    }
  });
}

test('a new chart version leaves selectors and names as they are', async () => {
  const objects = await render('backend');
  for (const { metadata } of objects) assert.not.match(metadata.name, /0\.1\.0/);
});

test('the autoscaler and the operator restart name the Deployment', async () => {
  const objects = await render('backend', { values: { autoscaling: { enabled: true } } });
  const { name } = only(objects, 'Deployment').metadata;
  assert.equal(only(objects, 'HorizontalPodAutoscaler').spec.scaleTargetRef, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name,
  });
  assert.equal(only(objects, 'VaultStaticSecret').spec.rolloutRestartTargets, [{ kind: 'Deployment', name }]);
});

test('pods of the verification Job are counted by no selector but their own policy', async () => {
  const objects = await render('backend', { values: { autoscaling: { enabled: true } } });
  const job = only(objects, 'Job');
  const labels = job.spec.template.metadata.labels as Labels;
  assert.is(labels['app.kubernetes.io/component'], 'verification');
  const matching = objects.filter((object) => {
    const selector = selectorOf(object);
    return selector !== undefined && object.kind !== 'Job' && selects(selector, labels);
  });
  assert.equal(
    matching.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ['NetworkPolicy app-verification'],
  );
  const deployment = only(objects, 'Deployment').metadata.name;
  const annotation = 'k8s-deployment/verify-deployment';
  assert.is(job.metadata.annotations?.[annotation], deployment);
  assert.is(job.spec.template.metadata.annotations[annotation], deployment);
});

type Peer = { namespaceSelector?: { matchLabels?: Labels }; podSelector?: { matchLabels?: Labels } };

/** Pods of the whole environment that a policy's peer stands for. */
const peers = (pods: readonly Pod[], peer: Peer, namespace: string): Pod[] =>
  pods.filter(
    (pod) =>
      (peer.namespaceSelector === undefined
        ? pod.namespace === namespace
        : selects(peer.namespaceSelector.matchLabels, { 'kubernetes.io/metadata.name': pod.namespace })) &&
      selects(peer.podSelector?.matchLabels, pod.labels),
  );

test('policies of the whole environment name pods that exist, and let through exactly who belongs', async () => {
  const rendered = await renderEnvironment('embedded');
  const objects = [...rendered.values()].flatMap(objectsOf);
  const pods = podsOf(objects);
  const allowed = new Set<string>();
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    const namespace = policy.metadata.namespace ?? '';
    const own = pods.filter((pod) => pod.namespace === namespace && selects(selectorOf(policy), pod.labels));
    assert.ok(own.length > 0, `NetworkPolicy ${namespace}/${policy.metadata.name} selects a pod`);
    for (const rule of policy.spec.ingress ?? []) {
      for (const peer of (rule.from ?? []) as Peer[]) {
        for (const from of peers(pods, peer, namespace)) {
          for (const to of own) allowed.add(`${from.owner} -> ${to.owner}`);
        }
      }
    }
  }
  const backends = ['app1', 'app2'].flatMap((app) => [
    `Deployment ${app}-front -> Deployment ${app}-back`,
    `Job ${app}-back-verification -> Deployment ${app}-back`,
    `Deployment ${app}-back -> StatefulSet postgresql`,
    `Job ${app}-back-verification -> StatefulSet postgresql`,
  ]);
  const operator = 'Deployment vault-operator-vault-secrets-operator-controller-manager';
  const vault = [operator, 'StatefulSet vault'];
  const within = vault.flatMap((from) => vault.map((to) => `${from} -> ${to}`));
  assert.equal([...allowed].sort(), [...backends, ...within].sort());
});

test('what an egress rule allows, the other end accepts', async () => {
  const rendered = await renderEnvironment('embedded');
  const objects = [...rendered.values()].flatMap(objectsOf);
  const pods = podsOf(objects);
  const reached = new Set<string>();
  for (const policy of ofKind(objects, 'NetworkPolicy')) {
    const namespace = policy.metadata.namespace ?? '';
    const own = pods.filter((pod) => pod.namespace === namespace && selects(selectorOf(policy), pod.labels));
    for (const rule of policy.spec.egress ?? []) {
      for (const peer of rule.to as Peer[]) {
        for (const to of peers(pods, peer, namespace))
          for (const from of own) reached.add(`${from.owner} -> ${to.owner}`);
      }
    }
  }
  const expected = ['app1', 'app2'].flatMap((app) => [
    `Deployment ${app}-front -> Deployment ${app}-back`,
    `Job ${app}-back-verification -> Deployment ${app}-back`,
    `Deployment ${app}-back -> StatefulSet postgresql`,
    `Job ${app}-back-verification -> StatefulSet postgresql`,
  ]);
  assert.equal([...reached].sort(), expected.sort());
});

test('the front accepts the namespace of its ingress controller, and nobody without one', async () => {
  const from = async (ingress: Record<string, unknown>) => {
    const policy = only(
      await render('frontend', { base: { ...required.frontend }, values: { ingress } }),
      'NetworkPolicy',
    );
    return policy.spec.ingress?.[0].from[0].namespaceSelector.matchLabels['kubernetes.io/metadata.name'];
  };
  assert.is(await from({ controller: 'nginx' }), 'ingress-nginx');
  assert.is(await from({ controller: 'traefik' }), 'traefik');
  assert.is(await from({ controller: 'nginx', controllerNamespace: 'edge' }), 'edge');
  assert.is(await from({ controller: 'none' }), undefined);
});

test.run();
