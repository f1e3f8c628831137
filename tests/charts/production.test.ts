import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadSettings } from '../../lib/settings/settings.ts';
import { environmentObjects, environments } from './environments.ts';
import { type KubernetesObject, objectsOf, ofKind, only, podTemplateOf } from './render.ts';
import { root } from './tools.ts';

/* The environment `production`, and the quotas of all. Pods and names: in the tests of the charts. */

const test = suite('production and quotas');

const settings = loadSettings({ name: 'production', provider: 'existing', root });
const objects = () => environmentObjects('existing', 'production');

test('the repository has no production secrets, since all files in it open with the development key', async () => {
  const folder = join(root, 'environments/production');
  assert.equal(await readdir(folder), ['settings.yaml']);
  assert.not.match(await readFile(join(folder, 'settings.yaml'), 'utf8'), 'ENC[');
});

test('Vault has three replicas on different nodes, which join each other and survive the loss of one', async () => {
  const { releases, vault } = await settings;
  // biome-ignore lint/suspicious/noExplicitAny: values of a chart; a wrong path fails the assertion on it
  const { server } = releases.vault as any;
  const { config, ...raft } = server.ha.raft;
  const ha = { ...server.ha, raft };
  assert.equal(server.standalone.enabled, false);
  assert.equal(ha, {
    ...{ enabled: true, replicas: 3, raft: { enabled: true, setNodeId: true } },
    disruptionBudget: { enabled: true, maxUnavailable: 1 },
  });
  assert.equal(
    config.match(/(?<=retry_join \{\s+leader_api_addr = "https:\/\/)\S+(?=:8200")/g),
    [0, 1, 2].map((index) => `vault-${index}.vault-internal`),
  );
  const [affinity] = objectsOf(String(server.affinity));
  const [apart] = affinity?.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  assert.is(apart.topologyKey, 'kubernetes.io/hostname');
  // sealed is not ready, so that the budget keeps the others; a new Vault is
  assert.is(server.readinessProbe?.path, '/v1/sys/health?standbyok=true&uninitcode=204');
  // a sealed replica must get no calls, and the Service `vault` leads to all of them
  assert.match(vault.address, '//vault-active.vault.svc');
});

test('PostgreSQL has three servers by CloudNativePG, with backups, under the same host name', async () => {
  const cluster = only(await objects(), 'Cluster');
  assert.is(cluster.spec.instances, 3);
  assert.is(only(await objects(), 'ScheduledBackup').spec.cluster.name, cluster.metadata.name);
  const [service] = cluster.spec.managed.services.additional;
  const name = `${service.serviceTemplate.metadata.name}.${cluster.metadata.namespace}.svc.cluster.local`;
  assert.is(name, (await settings).database.host);
  assert.match(cluster.spec.imageName, 'cloudnative-pg/postgresql');
  assert.not.ok((await objects()).some(({ kind }) => kind === 'StatefulSet'));
});

test('every backend is autoscaled and updated without losing a pod', async () => {
  for (const app of ['app1', 'app2']) {
    const { spec } = only(await objects(), 'HorizontalPodAutoscaler', `${app}-back`);
    assert.ok(spec.minReplicas >= 3 && spec.maxReplicas > spec.minReplicas, app);
    const workload = only(await objects(), 'Deployment', `${app}-back`);
    assert.is(workload.spec.strategy.rollingUpdate.maxUnavailable, 0);
    only(await objects(), 'PodDisruptionBudget', `${app}-back`);
    assert.ok(only(await objects(), 'Deployment', `${app}-front`).spec.replicas >= 3);
  }
});

test('cert-manager creates the fronts’ certificates', async () => {
  const routes = ofKind(await objects(), 'Ingress').filter(({ spec }) => spec.tls);
  assert.ok(routes.length >= 6);
  for (const { metadata } of routes)
    assert.is(metadata.annotations?.['cert-manager.io/cluster-issuer'], 'letsencrypt', metadata.name);
});

const units: Readonly<Record<string, number>> = { '': 1, m: 0.001, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** A Kubernetes quantity as a number: cores, bytes or a count. Throws for anything else. */
function amount(quantity: string | number): number {
  const [, number, unit = ''] = /^([0-9.]+)(m|Ki|Mi|Gi)?$/.exec(String(quantity)) ?? [];
  if (number === undefined) throw new Error(`Expected a quantity, got \`${quantity}\``);
  return Number(number) * (units[unit] ?? 1);
}

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
function useOf(objects: readonly KubernetesObject[], namespace = '') {
  const use = { pods: 0, persistentvolumeclaims: 0 } as Record<string, number> & { pods: number };
  const add = (name: string, value: number) => {
    use[name] = (use[name] ?? 0) + value;
  };
  const addPods = (pods: number, claims: number, containers: KubernetesObject['spec'][]) => {
    add('pods', pods);
    add('persistentvolumeclaims', pods * claims);
    for (const { resources } of containers)
      for (const kind of ['requests', 'limits'])
        for (const name of ['cpu', 'memory']) add(`${kind}.${name}`, pods * amount(resources[kind][name]));
  };
  for (const workload of objects.filter(({ metadata }) => metadata.namespace === namespace)) {
    const { kind, spec } = workload;
    // a Job as large as a server creates the next one; each has a volume for data and one for the log
    if (kind === 'Cluster') addPods(spec.instances + 1, 2, [spec]);
    if (kind === 'PersistentVolumeClaim') add('persistentvolumeclaims', 1);
    const template = podTemplateOf(workload);
    if (template === undefined) continue;
    addPods(mostPods(workload, objects), spec.volumeClaimTemplates?.length ?? 0, template.spec.containers);
  }
  return use;
}

for (const [provider, environment] of environments.filter(([, name]) => name !== 'lab'))
  test(`${environment} on ${provider}: quotas leave room for updates, checks and the autoscalers' maxima, limits for our containers`, async () => {
    const objects = await environmentObjects(provider, environment);
    const quotas = ofKind(objects, 'ResourceQuota');
    assert.is(quotas.length, 5);
    for (const { metadata, spec } of quotas) {
      const { namespace = '' } = metadata;
      const use = useOf(objects, namespace);
      for (const [name, hard] of Object.entries<string>(spec.hard)) {
        const [used, most] = [use[name] ?? 0, amount(hard)];
        const label = `${namespace} ${name}: ${used} of ${hard}`;
        assert.ok(used <= most, label);
        // where all pods are ours, the quota grants no more than they need
        if (name === 'pods' && ['backend', 'frontend'].includes(namespace))
          assert.ok(used * 3 >= most, label);
      }
    }
    assert.ok(useOf(objects, 'backend').pods >= 8, 'updates and checks are counted');
    if (provider === 'embedded') return;
    // Our containers fit the LimitRange of their namespace.
    for (const { metadata, spec } of ofKind(objects, 'LimitRange')) {
      const [{ defaultRequest, default: limit, max }] = spec.limits;
      const own = objects.filter((object) => object.metadata.namespace === metadata.namespace);
      const containers = own.flatMap((object) => podTemplateOf(object)?.spec.containers ?? []);
      for (const key of ['cpu', 'memory']) {
        const most = amount(max[key]);
        assert.ok(amount(defaultRequest[key]) <= amount(limit[key]), `${metadata.name} ${key}`);
        assert.ok(amount(limit[key]) <= most, `${metadata.name} ${key}`);
        for (const { resources, name } of containers) assert.ok(amount(resources.limits[key]) <= most, name);
      }
    }
  });

test.run();
