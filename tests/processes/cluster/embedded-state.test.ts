import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { requireCluster, withPostgresql } from '../../../lib/cluster/cluster.ts';
import { nodeManifests } from '../../../lib/cluster/embedded/apply.ts';
import { sourcesDigest } from '../../../lib/cluster/embedded/cluster.ts';
import { ensureKubernetes, linkPrograms, prepareFolder } from '../../../lib/cluster/embedded/kubernetes.ts';
import { portNames } from '../../../lib/cluster/embedded/ports.ts';
import * as processes from '../../../lib/cluster/embedded/processes.ts';
import {
  lastLogLine,
  readServices,
  recordService,
  serviceLog,
  tellLostData,
} from '../../../lib/cluster/embedded/services.ts';
import * as states from '../../../lib/cluster/embedded/state.ts';
import { requireCreated } from '../../../lib/cluster/messages.ts';
import { readStatus } from '../../../lib/operations/status.ts';
import { remember, writeWhole } from '../../../lib/settings/environment.ts';
import { reviewerToken } from '../../../lib/vault/init-vault.ts';
import { withVaultReplicas } from '../../../lib/vault/replicas.ts';
import { context, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';
import { standIn, useStandIns } from '../../rig/stand-in.ts';
import { fails } from '../../rig/task-context.ts';

const { refuseElsewhere } = processes;
const { clusterFolder, ensureState, expectedPorts, expectedServers, requireState, writeState } = states;
const { test, project } = scriptedSuite('embedded-state', 'embedded', 'environments');
const { environment } = await project.context('embedded');
const record = join(environment.state, 'embedded.json');
useStandIns(test);

/** As if kwokctl had created the cluster. */
const created = async (): Promise<void> => {
  await writeState(environment, { ...(await ensureState(context)), phase: 'created' });
  await writeWhole(join(clusterFolder(environment), 'kwok.yaml'), '');
};

test('ports are chosen once and stay, and so do the services', async () => {
  const made = await ensureState(context);
  assert.is(made.phase, 'creating');
  await recordService(environment.state, 'job-runner', process.pid);
  assert.equal(await ensureState(withSettings({ cluster: { kubernetesVersion: 'v1.32.0' } })), made);
  assert.equal(await expectedPorts(environment), made.ports);
  assert.is(new Set(Object.values(made.ports)).size, portNames.length);
  assert.is((await readServices(environment.state)).length, 1);
});

test('helmfile and Vault get the addresses of the real servers, also in an older environment', async () => {
  const file = join(environment.state, 'cluster.yaml');
  for (const _ of ['new', 'older']) {
    await ensureState(context);
    const vault = (await expectedServers(environment)).settings;
    assert.equal(parse(readFileSync(file, 'utf8')), { vault });
    writeFileSync(file, 'vault: {}');
  }
});

test('a damaged description of the cluster is an error, not a missing one', async () => {
  await ensureState(context);
  for (const text of ['{"phase":', '{"phase":"created"}', 'null']) {
    writeFileSync(record, text);
    const what = /^\.state\/development\/embedded\.json, .* is damaged$/;
    await fails(states.readState(environment), { what, advice: /destroy-environment/ });
  }
});

test('a task on a cluster that does not run names its phase, with advice', async () => {
  const refused = (is: string, advice: RegExp, why = /./) =>
    fails(requireCluster(context), {
      what: `the cluster of environment \`development\` is ${is}`,
      ...{ advice, why },
    });
  await refused('not created', /create-environment/);
  // As import-gpg-keys leaves it, without a cluster.
  mkdirSync(environment.gnupgHome, { recursive: true });
  await fails(requireCreated(environment), { what: /is not created$/ });
  await fails(requireState(environment), { what: /is not created$/ });
  await ensureState(context);
  await requireCreated(environment);
  const again = /^run `npx tsx tasks.ts create-environment` again$/;
  await refused('only half created', again, /^the run that created it did not finish$/);
  // Nothing can be asked before kwokctl has written the kubeconfig.
  assert.is((await readStatus(context)).cluster.state, 'creating');
  assert.equal(context.logged.splice(0), []);
  await created();
  await refused('stopped', /^run `npx tsx tasks.ts start-k8s`$/);
  await recordService(environment.state, 'etcd', process.pid);
  rmSync(join(environment.state, 'cluster.yaml'));
  const missing =
    /^\.state\/development\/cluster.yaml is missing or damaged, \S+\/kubeconfig is missing or damaged, kube-apiserver does not run/;
  await refused('degraded', /start-k8s/, missing);
  await remember(environment);
  const why = '.state/development/cluster.yaml is missing';
  await fails(requireCreated(environment), { what: /is degraded$/, why });
});

test('a server that a killed run has started but not recorded counts as running', async () => {
  await created();
  const etcd = await standIn('etcd', [`${clusterFolder(environment)}/etcd`]);
  const why = /, etcd runs, but no task recorded it, kube-apiserver does not run, /;
  await fails(requireCluster(context), { what: /is degraded$/, why });
  etcd.child.stdin.end();
  await etcd.ended;
});

test('a cluster that belongs to another path, or is half removed, is neither started nor created again', async () => {
  const state = await ensureState(context);
  const refused = async (what: RegExp, advice: RegExp): Promise<void> => {
    for (const attempt of [requireCluster, ensureState, () => requireState(environment)])
      await fails(attempt(context), { what, advice });
  };
  await writeState(environment, { ...state, phase: 'created' });
  await refused(/is half removed$/, /^run `npx tsx tasks.ts destroy-environment`, then /);
  // Also a cluster that was never complete.
  await writeState(environment, state);
  rmSync(join(environment.state, 'cluster.yaml'));
  await refused(/is half removed$/, /^run `npx tsx tasks.ts destroy-environment`, then /);
  await writeState(environment, { ...state, phase: 'created' });
  const other = join(dirname(clusterFolder(environment)), 'development-0a1b2c3d');
  await writeWhole(join(other, 'kwok.yaml'), '');
  await refused(/this clone was moved or copied/, /move it back; a new environment .* has none of the data$/);
  await writeState(environment, state);
  await refused(/this clone was moved or copied/, /move it back/);
  rmSync(record);
  await refused(/this clone was moved or copied/, /move it back/);
});

test('the lost record of a created cluster is taken from what is left, or nothing is created', async () => {
  const made = await ensureState(context);
  const settings = `options:\n  kubeApiserverPort: ${made.ports.kubeApiserver}\n`;
  await writeWhole(join(clusterFolder(environment), 'kwok.yaml'), settings);
  rmSync(record);
  const what = '.state/development/embedded.json, the record of the cluster, is missing';
  await fails(ensureState(context), { what, advice: /^restore it from a copy; .*destroy-environment/ });
  await nodeManifests(context, 'creating');
  assert.equal(await ensureState(context), { ...made, phase: 'created' });
  await recordService(environment.state, 'etcd', process.pid);
  writeFileSync(environment.kubeconfig, '{"a');
  const why =
    /^\.state\/development\/embedded\.json is missing or damaged, \S+\/kubeconfig is missing or damaged, kube-apiserver/;
  await fails(requireCluster(context), { what: /is degraded$/, why });
});

test('services of a lost state are stopped when a new one is created', async () => {
  const old = await standIn('node');
  await recordService(environment.state, 'job-runner', old.pid);
  await ensureState(context);
  assert.equal(await readServices(environment.state), []);
  assert.equal(await old.ended, [null, 'SIGTERM']);
});

test('a server that ran before and has no data any more says so, and how they come back', async () => {
  const context = await project.context('embedded');
  const tell = () => tellLostData(context, 'vault', 'vault/data', 'restore it');
  await tell();
  await writeWhole(serviceLog(environment.state, 'vault'), '');
  mkdirSync(join(environment.state, 'vault/data'), { recursive: true });
  await tell();
  const lost = '.state/development/vault/data is missing: vault starts without data; restore it';
  assert.equal(context.logged, [lost]);
  await writeWhole(join(environment.state, 'vault/data/vault.db'), '');
  await tell();
  assert.is(context.logged.length, 1);
});

test('the token with which Vault reviews others is kept while its account is the same', async () => {
  const exp = Date.now() / 1000 + 40 * 24 * 3600;
  const tokenOf = (uid: string) => `h.${Buffer.from(JSON.stringify({ exp, uid })).toString('base64url')}.s`;
  const account = (uid: string) =>
    project.script('kubectl', `case "$*" in *create*) echo ${tokenOf(uid)} ;; *) printf ${uid} ;; esac`);
  for (const uid of ['first', 'second']) {
    account(uid);
    assert.is(await reviewerToken(context), tokenOf(uid));
  }
  project.script('kubectl', 'case "$*" in *create*) exit 1 ;; *) printf second ;; esac');
  assert.is(await reviewerToken(context), tokenOf('second'));
});

test('a cluster that runs where nothing of it is seen is neither started here nor called stopped', async () => {
  await created();
  const data = join(clusterFolder(environment), 'etcd/member/snap/db');
  await refuseElsewhere(context);
  await writeWhole(data, '');
  await refuseElsewhere(context);
  const holder = await standIn('elsewhere', [data], 'exec 9< "$0"; flock 9');
  for (const refusing of [refuseElsewhere, requireCluster])
    await fails(refusing(context), { what: /runs in another container or on another host$/ });
  holder.child.stdin.end();
  await holder.ended;
  await refuseElsewhere(context);
});

test('kwokctl never sees a pid file of an earlier life, and its servers log beside the others', async () => {
  const cluster = clusterFolder(environment);
  const pids = join(cluster, 'pids');
  mkdirSync(pids, { recursive: true });
  writeFileSync(join(pids, 'etcd.pid'), String(process.pid));
  await prepareFolder(environment, [{ name: 'vault', pid: 7, startTime: '', bootId: '' }]);
  assert.equal(readdirSync(pids), ['vault.pid']);
  writeFileSync(join(cluster, 'logs', 'etcd.log'), 'ready\n');
  assert.is(await lastLogLine(environment.state, 'etcd'), 'ready');
});

test('a program that was removed after the cluster was created is replaced, and no other', async () => {
  const bin = join(clusterFolder(environment), 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync('/cache/etcd-3.5.0', join(bin, 'etcd'));
  symlinkSync('/bin/sh', join(bin, 'kwok-controller'));
  const now = ['etcd', 'kwok-controller'].map((name) => [name, `/cache/new/${name}`] as const);
  const links = async () => {
    await linkPrograms(environment, now);
    return now.map(([name]) => readlinkSync(join(bin, name)));
  };
  assert.equal(await links(), ['/cache/new/etcd', '/bin/sh']);
  rmSync(bin, { recursive: true });
  assert.equal(await links(), ['/cache/new/etcd', '/cache/new/kwok-controller']);
});

test('why kwokctl failed is the last error that it logs', async () => {
  await ensureState(context);
  const why = 'invalid argument "a\\b"';
  const lines = [{ err: 'first' }, { err: why }, { msg: 'bye' }].map((line) => JSON.stringify(line));
  project.script('kwokctl', `cat >&2 <<'END'\n${lines.join('\n')}\nEND\nexit 1`);
  await fails(ensureKubernetes(context), { what: 'kwokctl could not start the cluster', why });
});

test('the job runner starts again for any source that tells what a pod is given', async () => {
  const before = await sourcesDigest(environment.root);
  await writeWhole(join(environment.root, 'lib/database/set-up.ts'), '');
  assert.is.not(await sourcesDigest(environment.root), before);
});

test('Vault and PostgreSQL are reached without kubectl', async () => {
  const { ports } = await ensureState(context);
  const found = await withPostgresql(context, async (connection) => connection);
  assert.equal(found, { host: '127.0.0.1', port: ports.postgresql });
  await writeWhole(join(environment.state, 'certificates', 'ca.crt'), 'PEM');
  const [vault] = await withVaultReplicas(context, 0, {}, async (replicas) => replicas);
  assert.is(vault?.client.address, `https://127.0.0.1:${ports.vault}`);
});

test('an interrupted run stops what it started, unless it has destroyed that itself', async () => {
  for (const destroyed of [false, true]) {
    const context = await project.context('embedded');
    const { pid, ended } = await standIn('vault');
    const record = await recordService(environment.state, 'vault', pid);
    assert.ok(record);
    processes.startedByThisRun(context, record);
    if (destroyed) await processes.stopEverything(environment);
    await context.end('interrupted');
    await ended;
    assert.equal(context.logged, destroyed ? [] : ['stopping the services that this run started: vault']);
  }
});

test.run();
