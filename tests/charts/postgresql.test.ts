import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { declaredRelease } from '../../lib/helm/helmfile.ts';
import { type KubernetesObject, ofKind, only, render, type Tree, tryRender } from './render.ts';
import { root } from './tools.ts';

/* The chart `postgresql`: one server of its own, or a Cluster of CloudNativePG. */

const test = suite('postgresql');

const server = (values: Tree = {}) => render('postgresql', { values });
const cluster = (values: Tree = {}) =>
  render('postgresql', {
    release: 'postgresql',
    namespace: 'database',
    values: { kind: 'cloudnative-pg', ...values },
  });

/** helm's error for values that the chart refuses. */
async function refusal(values: Tree): Promise<string> {
  const { exitCode, stderr } = await tryRender('postgresql', { values });
  assert.is.not(exitCode, 0);
  return stderr;
}

test('the server shuts down fast, because it would wait for its clients otherwise', async () => {
  const pod = only(await server(), 'StatefulSet').spec.template.spec;
  assert.equal(pod.containers[0].lifecycle.preStop.exec.command, ['sh', '-c', 'kill -INT 1']);
  assert.is(pod.terminationGracePeriodSeconds, 60);
});

test('a Job of the release creates roles and databases after each install and upgrade', async () => {
  const kept = {
    applications: { app1: { password: '' }, app2: { password: 'two' } },
    issuers: { vault: { password: 'three' } },
  };
  const objects = await server({ ...kept, applications: { ...kept.applications, gone: null } });
  const job = only(objects, 'Job');
  assert.is(job.metadata.annotations?.['helm.sh/hook'], 'post-install,post-upgrade');
  const [container] = job.spec.template.spec.containers;
  const { valueFrom } = container.env.find(({ name }: { name: string }) => name === 'DATABASE_ROLES');
  const { name, key } = valueFrom.secretKeyRef;
  assert.equal(JSON.parse(only(objects, 'Secret', name).stringData[key]), kept);
  const { configMap } = job.spec.template.spec.volumes[0];
  const files = Object.keys(only(objects, 'ConfigMap', configMap.name).data).sort();
  assert.equal(files, ['database.sql', 'roles.sql', 'set-up.sh']);
});

test('max_connections grows with the applications, in hundreds; one that is too small for them is refused', async () => {
  const applications = (count: number): Tree =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`app${index}`, { password: '' }]));
  const most = async (count: number, values: Tree = {}): Promise<string | undefined> => {
    const objects = await server({ applications: { ...applications(count), gone: null }, ...values });
    const { args } = only(objects, 'StatefulSet').spec.template.spec.containers[0];
    return (args as string[]).find((word) => word.startsWith('max_connections='))?.split('=')[1];
  };
  assert.equal(await Promise.all([0, 4, 5, 60].map((count) => most(count))), ['100', '100', '200', '1300']);
  assert.is(await most(60, { connectionsPerApplication: 2 }), '200');
  const own = (max_connections: string | number) => ({ settings: { max_connections } });
  assert.is(await most(4, own(100)), '100');
  assert.match(
    await refusal({ applications: applications(5), ...own('100') }),
    /settings\.max_connections is 100, but 5 applications with 20 sessions each need 120 .*Raise it/,
  );
  const { parameters } = only(await cluster({ applications: applications(5) }), 'Cluster').spec.postgresql;
  assert.is(parameters.max_connections, '200');
});

test('the set-up waits for the first start of a cluster, within the time limit of the release', async () => {
  const limits = async (objects: readonly KubernetesObject[]) => {
    const { activeDeadlineSeconds, template } = only(objects, 'Job').spec;
    const { env } = template.spec.containers[0] as { env: { name: string; value: string }[] };
    return [activeDeadlineSeconds, env.find(({ name }) => name === 'WAIT_SECONDS')?.value];
  };
  assert.equal(await limits(await server()), [120, '60']);
  assert.equal(await limits(await cluster()), [540, '480']);
  assert.ok((await declaredRelease(root, 'postgresql')).timeout > 540);
});

test('the server accepts only TLS, with a certificate from the values or an existing Secret', async () => {
  const objects = await server({ settings: { ssl: 'off' } });
  const { spec, metadata } = only(objects, 'StatefulSet').spec.template;
  const args = (spec.containers[0].args as string[]).filter((word) => word !== '-c');
  // The last one counts.
  assert.ok(args.lastIndexOf('ssl=on') > args.indexOf('ssl=off'));
  assert.ok(args.includes('hba_file=/etc/postgresql-server/pg_hba.conf'));
  const rules = only(objects, 'ConfigMap', 'app-server').data['pg_hba.conf'] as string;
  assert.equal(
    rules.split('\n').flatMap((line) => /^\w+/.exec(line) ?? []),
    ['local', 'hostssl'],
  );
  assert.equal(Object.keys(only(objects, 'Secret', 'app-tls').stringData), ['tls.crt', 'tls.key', 'ca.crt']);

  const none = { certificate: '', key: '', authority: '' };
  const foreign = await server({ tls: { ...none, existingSecret: 'from-cert-manager' } });
  assert.not.ok(ofKind(foreign, 'Secret').some((secret) => secret.metadata.name === 'app-tls'));
  const pod = only(foreign, 'StatefulSet').spec.template;
  assert.ok(pod.spec.volumes.some((volume: Tree) => secretOf(volume) === 'from-cert-manager'));
  assert.not.equal(pod.metadata.annotations, metadata.annotations);
  assert.match(await refusal({ tls: none }), /tls needs existingSecret, or certificate, key and authority/);
});

const secretOf = ({ secret }: Tree) => (secret as Tree | undefined)?.secretName;

test('the server requires a password for every connection, including local ones and port-forwards', async () => {
  const [container] = only(await server(), 'StatefulSet').spec.template.spec.containers;
  const variable = (name: string) =>
    container.env.find((entry: { name: string }) => entry.name === name)?.value;
  assert.is(variable('POSTGRES_INITDB_ARGS'), '--auth-host=scram-sha-256 --auth-local=scram-sha-256');
  assert.is(variable('POSTGRES_PASSWORD_FILE'), '/run/secrets/postgresql/password');
  assert.is(variable('POSTGRES_PASSWORD'), undefined);
});

test('a database without clients accepts only the Job that creates its roles', async () => {
  const clients = async (values: Tree) =>
    only(await server({ clients: values }), 'NetworkPolicy', 'app-server').spec.ingress[0].from;
  assert.is((await clients({})).length, 3);
  const nobody = await clients({ backend: null, vault: null, other: null });
  assert.equal(
    nobody.map(({ podSelector }: { podSelector: { matchLabels: unknown } }) => podSelector.matchLabels),
    [only(await server(), 'Job').spec.template.metadata.labels],
  );
});

test('parameters are texts in digits, without an exponent', async () => {
  const settings = { work_mem: 1_048_576, shared_buffers: 16_384, hostname: ' a "b"' };
  const { args } = only(await server({ settings }), 'StatefulSet').spec.template.spec.containers[0];
  const { parameters } = only(await cluster({ settings }), 'Cluster').spec.postgresql;
  for (const [name, value] of Object.entries(settings)) {
    assert.ok(args.includes(`${name}=${value}`), name);
    assert.is(parameters[name], String(value));
  }
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

test('a Cluster’s superuser has the password of the values, and the operator applies a change', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  const secret = only(objects, 'Secret', spec.superuserSecret.name);
  assert.is(secret.type, 'kubernetes.io/basic-auth');
  assert.equal(secret.stringData, { username: 'postgres', password: 'a password' });
  assert.is(secret.metadata.labels?.['cnpg.io/reload'], 'true');
  const refused = await refusal({ kind: 'cloudnative-pg', user: 'somebody' });
  assert.match(refused, 'the superuser must be postgres, not somebody');
});

test('losing a node loses no data: a replica has every commit, servers are spread, data outlives the release', async () => {
  const { metadata, spec } = only(await cluster(), 'Cluster');
  assert.equal(spec.postgresql.synchronous, { method: 'any', number: 1, dataDurability: 'preferred' });
  assert.is(spec.affinity.podAntiAffinityType, 'required');
  assert.is(spec.enablePDB, true);
  assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  const asynchronous = only(await cluster({ cluster: { synchronousReplicas: 0 } }), 'Cluster').spec;
  assert.is(asynchronous.postgresql.synchronous, undefined);
});

test('a Cluster of one server waits for no replica, and lets its node be drained', async () => {
  const { spec } = only(await cluster({ cluster: { instances: 1 } }), 'Cluster');
  assert.is(spec.postgresql.synchronous, undefined);
  assert.is(spec.enablePDB, false);
  const two = only(await cluster({ cluster: { instances: 2, synchronousReplicas: 2 } }), 'Cluster').spec;
  assert.is(two.postgresql.synchronous.number, 1);
});

test('logins to a Cluster need TLS, and clients trust the certificate', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  assert.equal(spec.postgresql.pg_hba, ['hostnossl all all all reject']);
  const name = spec.certificates.serverTLSSecret;
  assert.equal(spec.certificates, { serverTLSSecret: name, serverCASecret: name });
  const secret = only(objects, 'Secret', name);
  assert.equal(Object.keys(secret.stringData), ['tls.crt', 'tls.key', 'ca.crt']);
  assert.is(secret.metadata.labels?.['cnpg.io/reload'], 'true');
  const { volumes } = only(objects, 'Job').spec.template.spec;
  assert.ok(volumes.some((volume: Tree) => secretOf(volume) === name));
  const other = only(await cluster({ tls: { existingSecret: 'theirs' } }), 'Cluster').spec.certificates;
  assert.is(other.serverTLSSecret, 'theirs');
});

test('the Job that creates roles and databases reaches the servers of a Cluster', async () => {
  const objects = await cluster();
  const job = only(objects, 'Job');
  const pods = { 'cnpg.io/cluster': only(objects, 'Cluster').metadata.name };
  const policy = (name: string) => only(objects, 'NetworkPolicy', name).spec;
  assert.equal(policy(job.metadata.name).egress[0].to, [{ podSelector: { matchLabels: pods } }]);
  const accepting = policy('postgresql-server');
  assert.equal(accepting.podSelector.matchLabels, pods);
  assert.equal(accepting.ingress[0].from[0].podSelector.matchLabels, job.spec.template.metadata.labels);
});

test('backups are off, volume snapshots, or written to an object store by the plugin', async () => {
  const backedUp = (backup: Tree) => cluster({ cluster: { backup: { enabled: true, ...backup } } });
  assert.equal(ofKind(await cluster(), 'ScheduledBackup'), []);
  const snapshots = await backedUp({ volumeSnapshotClass: 'snapshots' });
  assert.is(only(snapshots, 'ScheduledBackup').spec.method, 'volumeSnapshot');
  assert.equal(only(snapshots, 'Cluster').spec.backup.volumeSnapshot, {
    className: 'snapshots',
    walClassName: 'snapshots',
    snapshotOwnerReference: 'none',
  });
  const plugin = await backedUp({ method: 'plugin', objectStore: { name: 'store' } });
  const [archiver] = only(plugin, 'Cluster').spec.plugins;
  const parameters = { barmanObjectName: 'store', serverName: 'postgresql-cluster' };
  assert.equal([archiver.isWALArchiver, archiver.parameters], [true, parameters]);
  assert.equal(only(plugin, 'ScheduledBackup').spec.pluginConfiguration, { name: archiver.name });
  assert.equal(ofKind(plugin, 'ObjectStore'), []);
  const values = { kind: 'cloudnative-pg', cluster: { backup: { enabled: true, method: 'plugin' } } };
  assert.match(await refusal(values), 'needs objectStore.name');
});

const secret = (key: string) => ({ name: 'store-login', key });
const configuration = {
  destinationPath: 's3://backups/production/',
  s3Credentials: { accessKeyId: secret('id'), secretAccessKey: secret('key') },
};

test('the object store is created with references to its login, and also archives the log beside snapshots', async () => {
  const backup = { enabled: true, objectStore: { configuration, retention: '14d' } };
  const objects = await cluster({ cluster: { backup } });
  const { metadata, spec } = only(objects, 'ObjectStore');
  assert.equal([spec.configuration, spec.retentionPolicy], [configuration, '14d']);
  assert.is(only(objects, 'Cluster').spec.plugins[0].parameters.barmanObjectName, metadata.name);
  assert.is(only(objects, 'ScheduledBackup').spec.method, 'volumeSnapshot');
});

test('a new Cluster is recovered from an object store or from snapshots, and archives to another folder', async () => {
  const recovered = (recovery: Tree, objectStore: Tree = { configuration, serverName: 'second' }) =>
    cluster({ cluster: { recovery, backup: { enabled: true, objectStore } } });
  const targetTime = '2026-01-31T12:00:00Z';
  const { spec } = only(await recovered({ from: 'objectStore', serverName: 'first', targetTime }), 'Cluster');
  assert.equal(spec.bootstrap.recovery, { source: 'source', recoveryTarget: { targetTime } });
  assert.equal(
    spec.externalClusters.map(({ name, plugin }: KubernetesObject) => [name, plugin.parameters.serverName]),
    [['source', 'first']],
  );
  assert.is(spec.plugins[0].parameters.serverName, 'second');
  const snapshots = { storage: 'data', walStorage: 'log' };
  const other = only(await recovered({ from: 'volumeSnapshot', snapshots }, {}), 'Cluster').spec;
  const { storage, walStorage } = other.bootstrap.recovery.volumeSnapshots;
  assert.equal([storage.name, walStorage.name, other.externalClusters], ['data', 'log', undefined]);
  assert.is(only(await cluster(), 'Cluster').spec.bootstrap, undefined);

  const refused = (recovery: Tree, backup: Tree) =>
    refusal({ kind: 'cloudnative-pg', cluster: { recovery, backup } });
  assert.match(await refused({ from: 'objectStore' }, {}), 'needs cluster.backup.objectStore');
  assert.match(await refused({ from: 'volumeSnapshot' }, {}), 'needs snapshots.storage');
  const same = { enabled: true, objectStore: { configuration } };
  assert.match(await refused({ from: 'objectStore' }, same), 'must not write to the folder of its source');
});

test.run();
