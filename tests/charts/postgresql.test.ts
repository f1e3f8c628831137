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
/** The Cluster with some values under `cluster`. */
const clusterOf = async (values: Tree = {}) => only(await cluster({ cluster: values }), 'Cluster').spec;
const serverOf = (objects: readonly KubernetesObject[]) => {
  const { containers, ...pod } = only(objects, 'StatefulSet').spec.template.spec;
  return { ...pod, ...containers[0] };
};

/** The chart refuses these values, and says why. */
async function refuses(values: Tree, why: string | RegExp): Promise<void> {
  const { exitCode, stderr } = await tryRender('postgresql', { values });
  assert.is.not(exitCode, 0);
  assert.match(stderr, why);
}
const refusesCluster = (values: Tree, why: string) =>
  refuses({ kind: 'cloudnative-pg', cluster: values }, why);

test('the server shuts down fast, because it would wait for its clients otherwise', async () => {
  const { lifecycle, terminationGracePeriodSeconds } = serverOf(await server());
  assert.equal(lifecycle.preStop.exec.command, ['sh', '-c', 'kill -INT 1']);
  assert.is(terminationGracePeriodSeconds, 60);
});

test('a Job of the release creates roles and databases after each install and upgrade', async () => {
  const kept = {
    applications: { app1: { password: '' }, app2: { password: 'two' } },
    issuers: { vault: { password: 'three' } },
  };
  const objects = await server({ ...kept, applications: { ...kept.applications, gone: null } });
  const { metadata, spec } = only(objects, 'Job');
  assert.is(metadata.annotations?.['helm.sh/hook'], 'post-install,post-upgrade');
  const { containers, volumes } = spec.template.spec;
  const { name, key } = containers[0].env.find((one: Tree) => one.name === 'DATABASE_ROLES').valueFrom
    .secretKeyRef;
  assert.equal(JSON.parse(only(objects, 'Secret', name).stringData[key]), kept);
  const files = Object.keys(only(objects, 'ConfigMap', volumes[0].configMap.name).data).sort();
  assert.equal(files, ['database.sql', 'roles.sql', 'set-up.sh']);
});

test('max_connections grows with the applications, in hundreds; one that is too small for them is refused', async () => {
  const applications = (count: number): Tree =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`app${index}`, { password: '' }]));
  const most = async (count: number, values: Tree = {}): Promise<string | undefined> => {
    const { args } = serverOf(
      await server({ applications: { ...applications(count), gone: null }, ...values }),
    );
    return (args as string[]).find((word) => word.startsWith('max_connections='))?.split('=')[1];
  };
  assert.equal(await Promise.all([0, 4, 5, 60].map((count) => most(count))), ['100', '100', '200', '1300']);
  assert.is(await most(60, { connectionsPerApplication: 2 }), '200');
  const own = (max_connections: string | number) => ({ settings: { max_connections } });
  assert.is(await most(4, own(100)), '100');
  await refuses(
    { applications: applications(5), ...own('100') },
    /settings\.max_connections is 100, but 5 applications with 20 sessions each need 120 .*Raise it/,
  );
  const { parameters } = only(await cluster({ applications: applications(5) }), 'Cluster').spec.postgresql;
  assert.is(parameters.max_connections, '200');
});

test('the set-up waits for the first start of a cluster, within the time limit of the release', async () => {
  const limits = async (objects: readonly KubernetesObject[]) => {
    const { activeDeadlineSeconds, template } = only(objects, 'Job').spec;
    const { value } = template.spec.containers[0].env.find(({ name }: Tree) => name === 'WAIT_SECONDS');
    return [activeDeadlineSeconds, value];
  };
  assert.equal(await limits(await server()), [120, '60']);
  assert.equal(await limits(await cluster()), [540, '480']);
  assert.ok((await declaredRelease(root, 'postgresql')).timeout > 540);
});

const secretOf = ({ secret }: Tree) => (secret as Tree | undefined)?.secretName;
const pem = ['tls.crt', 'tls.key', 'ca.crt'];

test('the server accepts only TLS, with a certificate from the values or an existing Secret', async () => {
  const objects = await server({ settings: { ssl: 'off' } });
  const args = (serverOf(objects).args as string[]).filter((word) => word !== '-c');
  // The last one counts.
  assert.ok(args.lastIndexOf('ssl=on') > args.indexOf('ssl=off'));
  assert.ok(args.includes('hba_file=/etc/postgresql-server/pg_hba.conf'));
  const rules = only(objects, 'ConfigMap', 'app-server').data['pg_hba.conf'] as string;
  assert.equal(rules.match(/^\w+/gm), ['local', 'hostssl']);
  assert.equal(Object.keys(only(objects, 'Secret', 'app-tls').stringData), pem);

  const none = { certificate: '', key: '', authority: '' };
  const foreign = await server({ tls: { ...none, existingSecret: 'from-cert-manager' } });
  assert.not.ok(ofKind(foreign, 'Secret').some((secret) => secret.metadata.name === 'app-tls'));
  assert.ok(serverOf(foreign).volumes.some((volume: Tree) => secretOf(volume) === 'from-cert-manager'));
  const annotations = (of: readonly KubernetesObject[]) =>
    only(of, 'StatefulSet').spec.template.metadata.annotations;
  assert.not.equal(annotations(foreign), annotations(objects));
  await refuses({ tls: none }, /tls needs existingSecret, or certificate, key and authority/);
});

test('the server requires a password for every connection, including local ones and port-forwards', async () => {
  const variables = serverOf(await server()).env.map(({ name, value }: Tree) => [name, value]);
  const { POSTGRES_INITDB_ARGS, POSTGRES_PASSWORD_FILE, POSTGRES_PASSWORD } = Object.fromEntries(variables);
  assert.is(POSTGRES_INITDB_ARGS, '--auth-host=scram-sha-256 --auth-local=scram-sha-256');
  assert.equal([POSTGRES_PASSWORD_FILE, POSTGRES_PASSWORD], ['/run/secrets/postgresql/password', undefined]);
});

test('a database without clients accepts only the Job that creates its roles', async () => {
  const clients = async (values: Tree) =>
    only(await server({ clients: values }), 'NetworkPolicy', 'app-server').spec.ingress[0].from;
  assert.is((await clients({})).length, 3);
  const { labels } = only(await server(), 'Job').spec.template.metadata;
  const nobody = await clients({ backend: null, vault: null, other: null });
  assert.equal(
    nobody.map(({ podSelector }: KubernetesObject) => podSelector.matchLabels),
    [labels],
  );
});

test('parameters are texts in digits, without an exponent', async () => {
  const settings = { work_mem: 1_048_576, shared_buffers: 16_384, hostname: ' a "b"' };
  const { args } = serverOf(await server({ settings }));
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
  const [{ serviceTemplate, selectorType }, ...others] = spec.managed.services.additional;
  assert.equal([selectorType, others], ['rw', []]);
  // the Service of the other kind, under the same name and port
  const known = only(await render('postgresql', { release: 'postgresql' }), 'Service');
  assert.is(serviceTemplate.metadata.name, known.metadata.name);
  const port = { name: 'postgres', port: 5433, targetPort: 5432, protocol: 'TCP' };
  assert.equal(serviceTemplate.spec.ports, [port]);
});

test('a Cluster’s superuser has the password of the values, and the operator applies a change', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  const { type, stringData, metadata } = only(objects, 'Secret', spec.superuserSecret.name);
  assert.is(type, 'kubernetes.io/basic-auth');
  assert.equal(stringData, { username: 'postgres', password: 'a password' });
  assert.is(metadata.labels?.['cnpg.io/reload'], 'true');
  await refuses({ kind: 'cloudnative-pg', user: 'somebody' }, 'the superuser must be postgres, not somebody');
});

test('losing a node loses no data: a replica has every commit, servers are spread, data outlives the release', async () => {
  const { metadata, spec } = only(await cluster(), 'Cluster');
  assert.equal(spec.postgresql.synchronous, { method: 'any', number: 1, dataDurability: 'preferred' });
  assert.equal([spec.affinity.podAntiAffinityType, spec.enablePDB], ['required', true]);
  assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  assert.is((await clusterOf({ synchronousReplicas: 0 })).postgresql.synchronous, undefined);
});

test('a Cluster of one server waits for no replica, and lets its node be drained', async () => {
  const one = await clusterOf({ instances: 1 });
  assert.equal([one.postgresql.synchronous, one.enablePDB], [undefined, false]);
  const two = await clusterOf({ instances: 2, synchronousReplicas: 2 });
  assert.is(two.postgresql.synchronous.number, 1);
});

test('logins to a Cluster need TLS, and clients trust the certificate', async () => {
  const objects = await cluster();
  const { spec } = only(objects, 'Cluster');
  assert.equal(spec.postgresql.pg_hba, ['hostnossl all all all reject']);
  const name = spec.certificates.serverTLSSecret;
  assert.equal(spec.certificates, { serverTLSSecret: name, serverCASecret: name });
  const secret = only(objects, 'Secret', name);
  assert.equal(Object.keys(secret.stringData), pem);
  assert.is(secret.metadata.labels?.['cnpg.io/reload'], 'true');
  const { volumes } = only(objects, 'Job').spec.template.spec;
  assert.ok(volumes.some((volume: Tree) => secretOf(volume) === name));
  const other = only(await cluster({ tls: { existingSecret: 'theirs' } }), 'Cluster').spec.certificates;
  assert.is(other.serverTLSSecret, 'theirs');
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
  await refusesCluster({ backup: { enabled: true, method: 'plugin' } }, 'needs objectStore.name');
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
    clusterOf({ recovery, backup: { enabled: true, objectStore } });
  const targetTime = '2026-01-31T12:00:00Z';
  const spec = await recovered({ from: 'objectStore', serverName: 'first', targetTime });
  assert.equal(spec.bootstrap.recovery, { source: 'source', recoveryTarget: { targetTime } });
  const [{ name, plugin }, ...others] = spec.externalClusters;
  assert.equal([name, plugin.parameters.serverName, others], ['source', 'first', []]);
  assert.is(spec.plugins[0].parameters.serverName, 'second');
  const snapshots = { storage: 'data', walStorage: 'log' };
  const { bootstrap, externalClusters } = await recovered({ from: 'volumeSnapshot', snapshots }, {});
  const { storage, walStorage } = bootstrap.recovery.volumeSnapshots;
  assert.equal([storage.name, walStorage.name, externalClusters], ['data', 'log', undefined]);
  assert.is((await clusterOf()).bootstrap, undefined);

  const [store, snapshot] = [{ from: 'objectStore' }, { from: 'volumeSnapshot' }];
  const same = { enabled: true, objectStore: { configuration } };
  await refusesCluster({ recovery: store, backup: {} }, 'needs cluster.backup.objectStore');
  await refusesCluster({ recovery: snapshot, backup: {} }, 'needs snapshots.storage');
  await refusesCluster({ recovery: store, backup: same }, 'must not write to the folder of its source');
});

test.run();
