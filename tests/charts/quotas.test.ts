import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { environmentObjects, environments } from './environments.ts';
import { type KubernetesObject, ofKind, podTemplateOf } from './render.ts';

const test = suite('quotas');

const units: Readonly<Record<string, number>> = { '': 1, m: 0.001, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** A Kubernetes quantity as a number: cores, bytes or a count. Throws for anything else. */
function amount(quantity: string | number): number {
  const [, number, unit = ''] = /^([0-9.]+)(m|Ki|Mi|Gi)?$/.exec(String(quantity)) ?? [];
  if (number === undefined) throw new Error(`Expected a quantity, got \`${quantity}\``);
  return Number(number) * (units[unit] ?? 1);
}

type Use = Record<string, number>;
type Amounts = Record<'cpu' | 'memory', string>;
type Resources = Record<'requests' | 'limits', Amounts>;

/** A number or a share of the pods, rounded up as for maxSurge. */
const surge = (value: number | string, pods: number): number =>
  typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) / 100) * pods);

/**
 * Maximum number of pods of a workload: fully scaled, during an update. An old pod counts until
 * it has ended, and it drains while the next one starts, so all old ones may still exist.
 */
function mostPods(workload: KubernetesObject, objects: readonly KubernetesObject[]): number {
  const { spec, metadata, kind } = workload;
  if (kind === 'Job' || kind === 'CronJob') return 1;
  const scaler = objects.find(
    (object) =>
      /^(HorizontalPodAutoscaler|ScaledObject)$/.test(object.kind) &&
      object.metadata.namespace === metadata.namespace &&
      object.spec.scaleTargetRef.name === metadata.name,
  );
  const pods: number = scaler?.spec.maxReplicas ?? scaler?.spec.maxReplicaCount ?? spec.replicas;
  return kind === 'StatefulSet'
    ? pods
    : 2 * pods + surge(spec.strategy?.rollingUpdate.maxSurge ?? '25%', pods);
}

/** Maximum requests of all pods of a namespace together. */
function useOf(objects: readonly KubernetesObject[], namespace: string): Use {
  const use: Use = { pods: 0, persistentvolumeclaims: 0 };
  const add = (name: string, value: number) => {
    use[name] = (use[name] ?? 0) + value;
  };
  const addResources = (pods: number, resources: Resources) => {
    for (const kind of ['requests', 'limits'] as const)
      for (const name of ['cpu', 'memory'] as const)
        add(`${kind}.${name}`, pods * amount(resources[kind][name]));
  };
  for (const workload of objects) {
    if (workload.metadata.namespace !== namespace) continue;
    if (workload.kind === 'Cluster') {
      // a Job as large as a server creates the next one; each has a volume for data and one for the log
      const pods = workload.spec.instances + 1;
      add('pods', pods);
      add('persistentvolumeclaims', 2 * pods);
      addResources(pods, workload.spec.resources);
    }
    if (workload.kind === 'PersistentVolumeClaim') add('persistentvolumeclaims', 1);
    const template = podTemplateOf(workload);
    if (template === undefined) continue;
    const pods = mostPods(workload, objects);
    add('pods', pods);
    add('persistentvolumeclaims', pods * (workload.spec.volumeClaimTemplates?.length ?? 0));
    for (const { resources } of template.spec.containers) addResources(pods, resources);
  }
  return use;
}

for (const [provider, environment] of environments.filter(([, name]) => name !== 'lab'))
  test(`${environment} on ${provider}: quotas leave room for updates, checks and the autoscalers' maxima, limits for our containers`, async () => {
    const objects = await environmentObjects(provider, environment);
    const quotas = ofKind(objects, 'ResourceQuota');
    assert.is(quotas.length, 5);
    for (const { metadata, spec } of quotas) {
      const use = useOf(objects, metadata.namespace ?? '');
      for (const [name, hard] of Object.entries<string>(spec.hard)) {
        const label = `${metadata.namespace} ${name}: ${use[name]} of ${hard}`;
        assert.ok((use[name] ?? 0) <= amount(hard), label);
        // where all pods are ours, the quota grants no more than they need
        if (name === 'pods' && ['backend', 'frontend'].includes(metadata.namespace ?? ''))
          assert.ok((use[name] ?? 0) * 3 >= amount(hard), label);
      }
    }
    assert.ok((useOf(objects, 'backend').pods ?? 0) >= 8, 'updates and checks are counted');
    if (provider === 'embedded') return;
    // Our containers fit the LimitRange of their namespace.
    for (const { metadata, spec } of ofKind(objects, 'LimitRange')) {
      const [{ defaultRequest, default: limit, max }] = spec.limits;
      const own = objects
        .filter((object) => object.metadata.namespace === metadata.namespace)
        .flatMap((object) => podTemplateOf(object)?.spec.containers ?? []);
      for (const name of ['cpu', 'memory']) {
        assert.ok(amount(defaultRequest[name]) <= amount(limit[name]), `${metadata.name} ${name}`);
        assert.ok(amount(limit[name]) <= amount(max[name]), `${metadata.name} ${name}`);
        for (const { resources, name: container } of own)
          assert.ok(amount(resources.limits[name]) <= amount(max[name]), container);
      }
    }
  });

test.run();
