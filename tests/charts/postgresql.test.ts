import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { declaredRelease } from '../../lib/helm/helmfile.ts';
import {
  containerOf,
  type KubernetesObject,
  ofKind,
  only,
  podOf,
  refuses,
  render,
  required,
  type Tree,
} from './render.ts';
import { root, succeed } from './tools.ts';

/* The chart `postgresql`: one server of its own, or a Cluster of CloudNativePG. */

const test = suite('postgresql');

const server = (values: Tree = {}) => render('postgresql', { values });
const cluster = (values: Tree = {}) =>
  render('postgresql', {
    release: 'postgresql',
    namespace: 'database',
    values: { kind: 'cloudnative-pg', ...values },
  });
const clusterOf = async (values: Tree = {}) => only(await cluster({ cluster: values }), 'Cluster').spec;
const serverOf = (objects: readonly KubernetesObject[]) => ({
  ...podOf(objects, 'StatefulSet'),
  ...containerOf(objects, 'StatefulSet'),
});
/** The value of an argument, of which the last one counts. */
const argument = (objects: readonly KubernetesObject[], name: string): string | undefined =>
  (serverOf(objects).args as string[])
    .findLast((word) => word.startsWith(`${name}=`))
    ?.slice(name.length + 1);
const variable = (objects: readonly KubernetesObject[], wanted: string) =>
  containerOf(objects, 'Job').env.find(({ name }: Tree) => name === wanted);

const refusesCluster = (values: Tree, why: string) =>
  refuses('postgresql', { kind: 'cloudnative-pg', cluster: values }, why);

test('the notes name the applications that have a database', async () => {
  const values = JSON.stringify({
    ...required.postgresql,
    applications: { one: { password: '' }, two: null },
  });
  const words = ['install', 'app', 'charts/postgresql', '--dry-run=client', '--values', '-'];
  assert.match(await succeed('helm', words, { stdin: values }), /of the same name: one\.$/m);
});

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
  const { annotations } = only(objects, 'Job').metadata;
  assert.is(annotations?.['helm.sh/hook'], 'post-install,post-upgrade');
  const { name, key } = variable(objects, 'DATABASE_ROLES').valueFrom.secretKeyRef;
  assert.equal(JSON.parse(only(objects, 'Secret', name).stringData[key]), kept);
  const { configMap } = podOf(objects, 'Job').volumes[0];
  const files = Object.keys(only(objects, 'ConfigMap', configMap.name).data).sort();
  assert.equal(files, ['database.sql', 'roles.sql', 'set-up.sh']);
});

test('max_connections grows with the applications, in hundreds; one that is too small for them is refused', async () => {
  const applications = (count: number): Tree =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`app${index}`, { password: '' }]));
  const most = async (count: number, values: Tree = {}): Promise<string | undefined> => {
    const objects = await server({ applications: { ...applications(count), gone: null }, ...values });
    return argument(objects, 'max_connections');
  };
  assert.equal(await Promise.all([0, 4, 5, 60].map((count) => most(count))), ['100', '100', '200', '1300']);
  assert.is(await most(60, { connectionsPerApplication: 2 }), '200');
  const own = (max_connections: string | number) => ({ settings: { max_connections } });
  assert.is(await most(4, own(100)), '100');
  const why =
    /settings\.max_connections is 100, but 5 applications with 20 sessions each need 120 .*Raise it/;
  await refuses('postgresql', { applications: applications(5), ...own('100') }, why);
  const { parameters } = only(await cluster({ applications: applications(5) }), 'Cluster').spec.postgresql;
  assert.is(parameters.max_connections, '200');
});

test('the set-up waits for the first start of a cluster, within the time limit of the release', async () => {
  for (const [objects, deadline, wait] of [
    [await server(), 120, '60'],
    [await cluster(), 540, '480'],
  ] as const) {
    assert.is(only(objects, 'Job').spec.activeDeadlineSeconds, deadline);
    assert.is(variable(objects, 'WAIT_SECONDS').value, wait);
  }
  assert.ok((await declaredRelease(root, 'postgresql')).timeout > 540);
});

const secretOf = ({ secret }: Tree) => (secret as Tree | undefined)?.secretName;
const pem = ['tls.crt', 'tls.key', 'ca.crt'];

test('the server accepts only TLS, with a certificate from the values or an existing Secret', async () => {
  const objects = await server({ settings: { ssl: 'off' } });
  assert.is(argument(objects, 'ssl'), 'on');
  assert.is(argument(objects, 'hba_file'), '/etc/postgresql-server/pg_hba.conf');
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
  await refuses('postgresql', { tls: none }, /tls needs existingSecret, or certificate, key and authority/);
});

test('the server requires a password for every connection, including local ones and port-forwards', async () => {
  const variables = serverOf(await server()).env.map(({ name, value }: Tree) => [name, value]);
  const { POSTGRES_INITDB_ARGS: words, POSTGRES_PASSWORD: word, ...others } = Object.fromEntries(variables);
  assert.equal([words, word], ['--auth-host=scram-sha-256 --auth-local=scram-sha-256', undefined]);
  assert.is(others.POSTGRES_PASSWORD_FILE, '/run/secrets/postgresql/password');
});

test('a database without clients accepts only the Job that creates its roles', async () => {
  const clients = async (values: Tree) =>
    only(await server({ clients: values }), 'NetworkPolicy', 'app-server').spec.ingress[0].from;
  assert.is((await clients({})).length, 3);
  const { labels } = only(await server(), 'Job').spec.template.metadata;
  const [setUp, ...others] = await clients({ backend: null, vault: null, other: null });
  assert.equal([setUp.podSelector.matchLabels, others], [labels, []]);
});

test('parameters are texts in digits, without an exponent', async () => {
  const settings = { work_mem: 1_048_576, shared_buffers: 16_384, hostname: ' a "b"' };
  const objects = await server({ settings });
  const { parameters } = only(await cluster({ settings }), 'Cluster').spec.postgresql;
  for (const [name, value] of Object.entries(settings))
    assert.equal([argument(objects, name), parameters[name]], Array(2).fill(String(value)));
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
  const why = 'the superuser must be postgres, not somebody';
  await refuses('postgresql', { kind: 'cloudnative-pg', user: 'somebody' }, why);
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
  assert.is((await clusterOf({ instances: 2, synchronousReplicas: 2 })).postgresql.synchronous.number, 1);
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
  assert.ok(podOf(objects, 'Job').volumes.some((volume: Tree) => secretOf(volume) === name));
  const other = only(await cluster({ tls: { existingSecret: 'theirs' } }), 'Cluster').spec;
  assert.is(other.certificates.serverTLSSecret, 'theirs');
});

const login = (key: string) => ({ name: 'store-login', key });
const configuration = {
  destinationPath: 's3://backups/production/',
  s3Credentials: { accessKeyId: login('id'), secretAccessKey: login('key') },
};

test('backups are off, volume snapshots, or in an object store by the plugin, created with references to its login', async () => {
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
  const [{ name, isWALArchiver, parameters }] = only(plugin, 'Cluster').spec.plugins;
  const place = { barmanObjectName: 'store', serverName: 'postgresql-cluster' };
  assert.equal([isWALArchiver, parameters], [true, place]);
  assert.equal(only(plugin, 'ScheduledBackup').spec.pluginConfiguration, { name });
  assert.equal(ofKind(plugin, 'ObjectStore'), []);
  await refusesCluster({ backup: { enabled: true, method: 'plugin' } }, 'needs objectStore.name');
  // also archives the log beside snapshots
  const objects = await backedUp({ objectStore: { configuration, retention: '14d' } });
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
