import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadSettings } from '../../lib/settings/settings.ts';
import { type Party, type Policy, verdict } from '../network/verdict.ts';
import { environmentObjects } from './environments.ts';
import { objectsOf, ofKind, only, type Tree } from './render.ts';
import { root } from './tools.ts';

/* The environment `production`. Its quotas are in quotas.test.ts, pods and names in the tests of the charts. */

const test = suite('production');

const settings = loadSettings('production', 'existing');
const objects = () => environmentObjects('existing', 'production');

/** Values of a release from the settings. */
const valuesOf = async (release: string) =>
  ((await settings).releases as Readonly<Record<string, Tree>>)[release] as Tree;

test('it is marked as production and uses an existing cluster', async () => {
  const { production, cluster } = await settings;
  assert.is(production, true);
  assert.is(cluster.provider, 'existing');
});

test('the repository has no production secrets, since all files in it open with the development key', async () => {
  const folders = await readdir(join(root, 'environments', 'production'));
  assert.equal(folders, ['settings.yaml']);
  const text = await readFile(join(root, 'environments/production/settings.yaml'), 'utf8');
  assert.not.match(text, 'ENC[');
});

test('Vault has three replicas on different nodes, which join each other and survive the loss of one', async () => {
  const { server } = (await valuesOf('vault')) as { server: Readonly<Record<string, Tree>> };
  const { enabled, replicas, raft, disruptionBudget } = server.ha as {
    enabled: boolean;
    replicas: number;
    raft: { enabled: boolean; setNodeId: boolean; config: string };
    disruptionBudget: Tree;
  };
  assert.equal(
    [enabled, replicas, raft.enabled, raft.setNodeId, server.standalone?.enabled],
    [true, 3, true, true, false],
  );
  assert.equal(disruptionBudget, { enabled: true, maxUnavailable: 1 });
  const joined = [...raft.config.matchAll(/retry_join \{\s+leader_api_addr = "http:\/\/(\S+):8200"/g)];
  assert.equal(
    joined.map(([, host]) => host),
    Array.from({ length: replicas }, (_, index) => `vault-${index}.vault-internal`),
  );
  const [affinity] = objectsOf(String(server.affinity));
  const [apart] = affinity?.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  assert.is(apart.topologyKey, 'kubernetes.io/hostname');
  // a sealed replica must get no calls, and the Service `vault` leads to all of them
  assert.match((await settings).vault.address, '//vault-active.vault.svc');
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
  for (const release of ['app1-back', 'app2-back']) {
    const { spec } = only(await objects(), 'HorizontalPodAutoscaler', release);
    assert.ok(spec.minReplicas >= 3 && spec.maxReplicas > spec.minReplicas, release);
    const workload = only(await objects(), 'Deployment', release);
    assert.is(workload.spec.strategy.rollingUpdate.maxUnavailable, 0);
    only(await objects(), 'PodDisruptionBudget', release);
  }
  for (const release of ['app1-front', 'app2-front'])
    assert.ok(only(await objects(), 'Deployment', release).spec.replicas >= 3);
});

test('cert-manager creates the fronts’ certificates', async () => {
  const routes = ofKind(await objects(), 'Ingress').filter(({ spec }) => spec.tls);
  assert.ok(routes.length >= 6);
  for (const { metadata } of routes)
    assert.is(metadata.annotations?.['cert-manager.io/cluster-issuer'], 'letsencrypt', metadata.name);
});

test('database servers reach each other and Kubernetes, and only allowed clients reach them', async () => {
  const policies = ofKind(await objects(), 'NetworkPolicy') as unknown as Policy[];
  const ports = [
    { name: 'postgresql', containerPort: 5432 },
    { name: 'status', containerPort: 8000 },
    { name: 'metrics', containerPort: 9187 },
  ];
  const pod = (namespace: string, labels: Record<string, string>, address: string): Party => ({
    address,
    pod: { namespace, namespaceLabels: { 'kubernetes.io/metadata.name': namespace }, labels, ports },
  });
  // as the operator labels its pods
  const labels = { 'cnpg.io/cluster': 'postgresql-cluster', 'app.kubernetes.io/name': 'postgresql' };
  const server = pod('database', labels, '10.244.0.1');
  const operator = pod('cnpg-system', { 'app.kubernetes.io/name': 'cloudnative-pg' }, '10.244.0.2');
  const monitoring = pod('monitoring', { 'app.kubernetes.io/name': 'prometheus' }, '10.244.0.3');
  const labelsOf = async (name: string) =>
    only(await objects(), 'Deployment', name).spec.template.metadata.labels;
  const backend = pod('backend', await labelsOf('app1-back'), '10.244.0.4');
  const frontend = pod('frontend', await labelsOf('app1-front'), '10.244.0.5');
  const apiServer: Party = { address: '203.0.113.1' };
  const connections: readonly (readonly [string, Party, Party, number, boolean])[] = [
    ['server to server', server, server, 5432, true],
    ['server to server, status', server, server, 8000, true],
    ['server to the API server', server, apiServer, 6443, true],
    ['server to a backend', server, backend, 8080, false],
    ['operator to server', operator, server, 8000, true],
    ['metrics', monitoring, server, 9187, true],
    ['monitoring is no client', monitoring, server, 5432, false],
    ['backend', backend, server, 5432, true],
    ['backend, status', backend, server, 8000, false],
    ['frontend', frontend, server, 5432, false],
  ];
  for (const [name, from, to, port, expected] of connections)
    assert.is(verdict(policies, from, to, { port, protocol: 'TCP' }).allowed, expected, name);
});

test.run();
