import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chartNames, type KubernetesObject, ofKind, only, render, required } from './render.ts';
import { cleanUp } from './tools.ts';

const test = suite('selectors');
test.after(cleanUp);

type Labels = Readonly<Record<string, string>>;
type Pod = { readonly owner: string; readonly namespace: string; readonly labels: Labels };

const selects = (selector: Labels | undefined, labels: Labels): boolean =>
  Object.entries(selector ?? {}).every(([label, value]) => labels[label] === value);

/** Pods that the objects would create. */
function podsOf(objects: readonly KubernetesObject[]): Pod[] {
  return objects
    .filter((object) => object.spec?.template?.metadata)
    .map((object) => ({
      owner: `${object.kind} ${object.metadata.name}`,
      namespace: object.metadata.namespace ?? '',
      labels: object.spec.template.metadata.labels as Labels,
    }));
}

/** Labels by which an object selects pods. */
function selectorOf(object: KubernetesObject): Labels | undefined {
  if (object.kind === 'Service') return object.spec.selector;
  if (object.kind === 'NetworkPolicy') return object.spec.podSelector.matchLabels;
  return object.spec?.selector?.matchLabels;
}

for (const chart of chartNames.filter((name) => name !== 'devops')) {
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

test('a new chart version does not change selectors and names', async () => {
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
  assert.equal(only(objects, 'VaultDynamicSecret').spec.rolloutRestartTargets, [
    { kind: 'Deployment', name },
  ]);
});

test('only their own policy selects the pods of the verification Job', async () => {
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

test('the front accepts only the pods of its ingress controller', async () => {
  const from = async (ingress: Record<string, unknown>) => {
    const policy = only(
      await render('frontend', { base: { ...required.frontend }, values: { ingress } }),
      'NetworkPolicy',
    );
    const peer = policy.spec.ingress?.[0].from[0];
    return peer && { ...peer.namespaceSelector.matchLabels, ...peer.podSelector.matchLabels };
  };
  const name = 'app.kubernetes.io/name';
  const namespace = 'kubernetes.io/metadata.name';
  assert.equal(await from({ controller: 'nginx' }), {
    [namespace]: 'ingress-nginx',
    [name]: 'ingress-nginx',
  });
  assert.equal(await from({ controller: 'traefik' }), { [namespace]: 'ingress', [name]: 'traefik' });
  assert.equal(
    await from({ controller: 'nginx', controllerNamespace: 'edge', controllerLabels: { app: 'edge' } }),
    { [namespace]: 'edge', app: 'edge' },
  );
  assert.is(await from({ controller: 'none' }), undefined);
});

test('a database without clients accepts only the Job that creates its roles', async () => {
  const clients = async (values: Record<string, unknown>) => {
    const objects = await render('postgresql', { values: { clients: values } });
    return only(objects, 'NetworkPolicy', 'app-server').spec.ingress[0].from;
  };
  assert.is((await clients({})).length, 3);
  const nobody = await clients({ backend: null, vault: null, other: null });
  assert.equal(
    nobody.map(({ podSelector }: { podSelector: { matchLabels: Labels } }) => podSelector.matchLabels),
    [only(await render('postgresql'), 'Job').spec.template.metadata.labels],
  );
});

test.run();
