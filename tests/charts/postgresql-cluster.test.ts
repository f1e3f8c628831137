import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ofKind, only, render, type Tree, tryRender } from './render.ts';
import { cleanUp } from './tools.ts';

/* The chart `postgresql` with servers managed by CloudNativePG. */

const test = suite('PostgreSQL by CloudNativePG');
test.after(cleanUp);

const cluster = (values: Tree = {}) =>
  render('postgresql', {
    release: 'postgresql',
    namespace: 'database',
    values: { kind: 'cloudnative-pg', ...values },
  });

test('a Cluster replaces the StatefulSet, and the database keeps its name', async () => {
  const objects = await cluster({ service: { port: 5433 } });
  assert.equal([...ofKind(objects, 'StatefulSet'), ...ofKind(objects, 'Service')], []);
  const { spec } = only(objects, 'Cluster');
  assert.is(spec.instances, 3);
  const [service, ...others] = spec.managed.services.additional;
  assert.equal(others, []);
  // the Service of the other kind, under the same name and port
  const known = only(await render('postgresql', { release: 'postgresql' }), 'Service');
  assert.is(service.serviceTemplate.metadata.name, known.metadata.name);
  assert.is(service.selectorType, 'rw');
  assert.equal(service.serviceTemplate.spec.ports, [
    { name: 'postgres', port: 5433, targetPort: 5432, protocol: 'TCP' },
  ]);
});

test('the superuser’s password comes from the values, and the operator applies a change', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  const secret = only(objects, 'Secret', spec.superuserSecret.name);
  assert.is(secret.type, 'kubernetes.io/basic-auth');
  assert.equal(secret.stringData, { username: 'postgres', password: 'a password' });
  assert.is(secret.metadata.labels?.['cnpg.io/reload'], 'true');
  const refused = await tryRender('postgresql', { values: { kind: 'cloudnative-pg', user: 'somebody' } });
  assert.is.not(refused.exitCode, 0);
  assert.match(refused.stderr, 'the superuser must be postgres, not somebody');
});

test('losing a node loses no data: a replica has every commit, servers are spread, data outlives the release', async () => {
  const { metadata, spec } = only(await cluster(), 'Cluster');
  assert.equal(spec.postgresql.synchronous, { method: 'any', number: 1, dataDurability: 'preferred' });
  assert.is(spec.affinity.podAntiAffinityType, 'required');
  assert.is(spec.enablePDB, true);
  assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  assert.is(
    only(await cluster({ cluster: { synchronousReplicas: 0 } }), 'Cluster').spec.postgresql.synchronous,
    undefined,
  );
});

test('logins need TLS, and clients trust the certificate', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  assert.equal(spec.postgresql.pg_hba, ['hostnossl all all all reject']);
  const name = spec.certificates.serverTLSSecret;
  assert.equal(spec.certificates, { serverTLSSecret: name, serverCASecret: name });
  const secret = only(objects, 'Secret', name);
  assert.equal(Object.keys(secret.stringData), ['tls.crt', 'tls.key', 'ca.crt']);
  assert.is(secret.metadata.labels?.['cnpg.io/reload'], 'true');
  const job = only(objects, 'Job').spec.template.spec;
  assert.ok(job.volumes.some((volume: Tree) => (volume.secret as Tree | undefined)?.secretName === name));
  const other = only(await cluster({ tls: { existingSecret: 'theirs' } }), 'Cluster').spec.certificates;
  assert.is(other.serverTLSSecret, 'theirs');
});

test('the Job that creates roles and databases reaches the servers of the Cluster', async () => {
  const objects = await cluster();
  const job = only(objects, 'Job');
  const policy = only(objects, 'NetworkPolicy', job.metadata.name);
  const pods = { 'cnpg.io/cluster': only(objects, 'Cluster').metadata.name };
  assert.equal(policy.spec.egress[0].to, [{ podSelector: { matchLabels: pods } }]);
  const server = only(objects, 'NetworkPolicy', 'postgresql-server');
  assert.equal(server.spec.podSelector.matchLabels, pods);
  assert.equal(server.spec.ingress[0].from[0].podSelector.matchLabels, job.spec.template.metadata.labels);
});

test('backups are off, volume snapshots, or written to an object store by the plugin', async () => {
  assert.equal(ofKind(await cluster(), 'ScheduledBackup'), []);
  const backup = { enabled: true, volumeSnapshotClass: 'snapshots' };
  const snapshots = await cluster({ cluster: { backup } });
  assert.is(only(snapshots, 'ScheduledBackup').spec.method, 'volumeSnapshot');
  const { volumeSnapshot } = only(snapshots, 'Cluster').spec.backup;
  assert.equal(volumeSnapshot, {
    className: 'snapshots',
    walClassName: 'snapshots',
    snapshotOwnerReference: 'none',
  });
  const plugin = await cluster({
    cluster: { backup: { enabled: true, method: 'plugin', objectStore: 'store' } },
  });
  const [archiver] = only(plugin, 'Cluster').spec.plugins;
  assert.equal([archiver.isWALArchiver, archiver.parameters], [true, { barmanObjectName: 'store' }]);
  assert.equal(only(plugin, 'ScheduledBackup').spec.pluginConfiguration, { name: archiver.name });
  const values = { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, method: 'plugin' } } };
  assert.match((await tryRender('postgresql', { values })).stderr, 'objectStore is needed');
});

test('the servers accept each other, their operator, monitoring and clients', async () => {
  const objects = await cluster();
  const { metadata } = only(objects, 'Cluster');
  const pods = { matchLabels: { 'cnpg.io/cluster': metadata.name } };
  for (const { spec } of ofKind(objects, 'NetworkPolicy').filter(({ spec }) => spec.ingress?.length === 2)) {
    assert.equal(spec.podSelector, pods);
    const [members, metrics] = spec.ingress;
    assert.equal(members.from[0], { podSelector: pods });
    assert.is(members.from[1].namespaceSelector.matchLabels['kubernetes.io/metadata.name'], 'cnpg-system');
    assert.equal(
      members.ports.map(({ port }: { port: number }) => port),
      [5432, 8000],
    );
    assert.is(metrics.from[0].namespaceSelector.matchLabels['kubernetes.io/metadata.name'], 'monitoring');
    assert.equal(spec.egress[0].to, [{ podSelector: pods }]);
  }
  // clients: in the policy for both kinds
  assert.equal(only(objects, 'NetworkPolicy', 'postgresql-server').spec.podSelector, pods);
  assert.is(ofKind(objects, 'NetworkPolicy').filter(({ spec }) => spec.ingress?.length === 2).length, 1);
});

test.run();
