import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadSettings } from '../../lib/settings/settings.ts';
import { environmentObjects } from './environments.ts';
import { objectsOf, ofKind, only, type Tree } from './render.ts';
import { root } from './tools.ts';

/* The environment `production`. Its quotas are in quotas.test.ts, pods and names in the tests of the charts. */

const test = suite('production');

const settings = loadSettings({ name: 'production', provider: 'existing' });
const objects = () => environmentObjects('existing', 'production');

/** Values of a release, or of all backends or fronts, from the settings. */
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
  const joined = [...raft.config.matchAll(/retry_join \{\s+leader_api_addr = "https:\/\/(\S+):8200"/g)];
  assert.equal(
    joined.map(([, host]) => host),
    Array.from({ length: replicas }, (_, index) => `vault-${index}.vault-internal`),
  );
  const [affinity] = objectsOf(String(server.affinity));
  const [apart] = affinity?.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  assert.is(apart.topologyKey, 'kubernetes.io/hostname');
  // sealed is not ready, so that the budget keeps the others; a new Vault is
  assert.is(server.readinessProbe?.path, '/v1/sys/health?standbyok=true&uninitcode=204');
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

test.run();
