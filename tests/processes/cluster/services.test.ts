import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { isSameProcess, processIdentity } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProcesses, isUp } from '../../../lib/cluster/embedded/processes.ts';
import * as services from '../../../lib/cluster/embedded/services.ts';
import { folder, useFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { standIn, useStandIns } from '../../rig/stand-in.ts';
import { environmentIn, fails } from '../../rig/task-context.ts';

const { lastLogLine, readServices, recordService, serviceLog, stopServices, waitForService } = services;
type ServiceRecord = services.ServiceRecord;

useFolder(test);
useStandIns(test);
const started: ServiceRecord[] = [];
test.after.each(async () => {
  for (const record of started.splice(0))
    if (await isSameProcess(record)) process.kill(record.pid, 'SIGKILL');
});

async function start(name: string, words: string[], digest?: string): Promise<ServiceRecord> {
  const record = await services.startService(folder, name, words, {}, digest === undefined ? {} : { digest });
  started.push(record);
  return record;
}

const shell = (script: string): string[] => ['sh', '-c', script];
const server = shell('echo ready; exec sleep 1000');

/** A service that does something when the signal comes, and ends. */
const heeding = (signal: string, action: string): string[] => [
  ...[process.execPath, '-e'],
  `process.on('${signal}', () => { ${action}; process.exit(); }); setInterval(() => {}, 1e9); console.log('ready');`,
];

const { signal } = new AbortController();

const said = (record: ServiceRecord, text: string): Promise<void> => {
  const ready = async () => (await lastLogLine(folder, record.name)).includes(text);
  return wait(record, ready);
};

const wait = ({ name }: ServiceRecord, ready: () => Promise<boolean>, timeoutMs = 30_000, stop = signal) =>
  waitForService({ environment: { state: folder }, signal: stop }, name, ready, timeoutMs);

test('a service is recorded by its identity, its output goes to its log, and stopped it is forgotten', async () => {
  const record = await start('vault', server);
  await said(record, 'ready');
  assert.equal(await readServices(folder), [record]);
  assert.equal({ ...record, ...(await processIdentity(record.pid)) }, record);
  assert.is(await isSameProcess(record), true);
  assert.is(fs.readFileSync(serviceLog(folder, 'vault'), 'utf8'), 'ready\n');
  assert.is(fs.statSync(serviceLog(folder, 'vault')).mode & 0o777, 0o600);
  // Signals to our process group do not reach its own.
  assert.is(process.kill(-record.pid, 0), true);
  await stopServices(folder, [record]);
  assert.is(await isSameProcess(record), false);
  assert.equal(await readServices(folder), []);
});

test('a service is up if it answers and was started with the same digest', async () => {
  await start('vault', server, 'one');
  const up = (digest?: string, answers = true) =>
    isUp(folder, { name: 'vault', ready: async () => answers, ...(digest && { digest }) });
  assert.is(await up('one'), true);
  assert.equal([await up('two'), await up(), await up('one', false)], [false, false, false]);
});

test('a service that ignores TERM is killed after its grace period', async () => {
  const record = await start('vault', shell('trap "" TERM; echo deaf; exec sleep 1000'));
  await said(record, 'deaf');
  await stopServices(folder, [record], 10);
  assert.is(await isSameProcess(record), false);
});

test('the API server is stopped after its clients, and etcd last; PostgreSQL by INT, its fast shutdown', async () => {
  const order = join(folder, 'order');
  const names = ['etcd', 'kube-apiserver', 'vault', 'kube-scheduler', 'postgresql'];
  const records = await Promise.all(
    names.map((name) => {
      const append = `fs.appendFileSync(${JSON.stringify(order)}, '${name} ')`;
      return start(name, heeding(name === 'postgresql' ? 'SIGINT' : 'SIGTERM', append));
    }),
  );
  await Promise.all(records.map((record) => said(record, 'ready')));
  await stopServices(folder, records);
  const stopped = fs.readFileSync(order, 'utf8').trim().split(' ');
  assert.equal(stopped.slice(0, 3).sort(), ['kube-scheduler', 'postgresql', 'vault']);
  assert.equal(stopped.slice(3), ['kube-apiserver', 'etcd']);
});

test('a pid reused by another process is forgotten, never killed', async () => {
  const own = await recordService(folder, 'vault', (await standIn('sleep')).pid);
  assert.ok(own);
  await stopServices(folder, [{ ...own, bootId: 'the one before' }], 10);
  assert.is(await isSameProcess(own), true);
  assert.equal(fs.readdirSync(join(folder, 'services')), []);
});

test('a copied clone has none of the services of the original; a moved one, or another path to it, has them', async () => {
  const record = await start('vault', server);
  const at = (name: string) => `${folder}-${name}`;
  fs.cpSync(folder, at('copy'), { recursive: true });
  assert.equal(await readServices(at('copy')), []);
  fs.symlinkSync(folder, at('link'));
  assert.equal(await readServices(at('link')), [record]);
  fs.renameSync(folder, at('moved'));
  assert.equal(await readServices(at('moved')), [record]);
});

test('no service: a process that has ended, a program that does not exist, a damaged record', async () => {
  const ended = spawn('true', { stdio: 'ignore' });
  await once(ended, 'exit');
  assert.is(await recordService(folder, 'vault', ended.pid ?? 0), undefined);
  const starting = start('vault', ['/nowhere/vault']);
  await fails(starting, { what: 'vault could not be started', why: /ENOENT/ });
  fs.mkdirSync(join(folder, 'services'), { recursive: true });
  fs.writeFileSync(join(folder, 'services', 'vault.json'), '{"pid":');
  fs.writeFileSync(join(folder, 'services', 'notes.txt'), 'mine');
  assert.equal(await readServices(folder), []);
});

test('a wait ends after its time, with the run, and with the service: the reason is the last line of its log', async () => {
  const never = async () => false;
  const record = await start('vault', server);
  await fails(wait(record, never, 0), { what: 'vault was not ready after 0 s' });
  const stopped = await wait(record, async () => true, 0, AbortSignal.abort()).catch((error) => error);
  assert.is(stopped.name, 'AbortError');
  const failing = shell('echo starting; echo "bad port" >&2; exit 3');
  // It may end before it is recorded; the error must be the same.
  const starting = start('etcd', failing).then((started) => wait(started, never));
  await fails(starting, { what: 'etcd ended while starting', why: 'bad port' });
});

test('a process that cannot be ended is reported, and its record stays', async () => {
  const record = await start('one', server);
  const { kill } = process;
  process.kill = () => {
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  };
  try {
    const what = `process ${record.pid} could not be stopped`;
    await fails(stopServices(folder, [record], 100), { what, why: 'kill EPERM' });
  } finally {
    process.kill = kill;
  }
  assert.equal(await readServices(folder), [record]);
});

const found = async (folder: string): Promise<number[]> =>
  (await findProcesses(environmentIn(folder))).map(({ pid }) => pid);

test('a cluster’s programs are found by a path of the environment or the cluster’s name, and nothing else is', async () => {
  const { state, clusterName } = environmentIn(folder);
  const create = ['create', 'cluster', '--name'];
  const jobRunner = ['/clone/lib/cluster/embedded/job-runner.ts', 'development', `${state}/`];
  const ours = [
    standIn('/opt/vault', ['server', '-config', `${state}/vault/server.hcl`]),
    standIn('etcd', [`--data-dir=${state}/kwok/etcd`]),
    standIn('kwokctl', [...create, clusterName]),
    standIn('postgres', ['-D', `${state}/postgresql/data`]),
    standIn('/usr/bin/node', jobRunner),
    // As Fedora calls its Node.
    standIn('/usr/bin/node-22', jobRunner),
  ];
  // Of another environment or clone, of a user who reads the folder, and a run of tasks.
  const others = [
    standIn('vault', ['server', '-config', `${state}2/vault/server.hcl`]),
    standIn('vault', ['server', '-config', `/other${state}2/server.hcl`]),
    standIn('kwokctl', [...create, `${clusterName}0`]),
    standIn('tail', ['-f', `${state}/logs/vault.log`]),
    standIn('vim', [`${state}/kubeconfig`]),
    standIn('node', ['/clone/tasks.ts', 'status', `${state}/`]),
  ];
  await Promise.all(others);
  const pids = (await Promise.all(ours)).map(({ pid }) => pid);
  assert.equal((await found(folder)).sort(), pids.sort());
  const names = (await findProcesses(environmentIn(folder))).map(({ name }) => name);
  assert.equal(names.sort(), ['etcd', 'job-runner', 'job-runner', 'kwokctl', 'postgresql', 'vault']);
});

test('on macOS, where ps prints one line, spaces in paths do not hide them', async () => {
  const clone = join(folder, 'my clone');
  const { state } = environmentIn(clone);
  const processes = [
    ['7', '/Users/ada/my tools/vault', `server -config ${state}/vault/server.hcl`],
    ['42', '/Users/ada/my tools/kube-controller-manager', `--kubeconfig=${state}/kubeconfig`],
    ['43', '/usr/bin/tail', `-f ${state}/logs/vault`],
    ['44', '/Users/ada/my tools/vault', `server -config ${state}2/vault/server.hcl`],
  ];
  const print = (lines: string[]): string => lines.map((line) => `echo '${line}'`).join('\n');
  const paths = print(processes.map(([pid, path]) => `   ${pid} ${path}`));
  const lines = print(processes.map(([pid, path, words]) => `   ${pid} ${path} ${words}`));
  const script = `#!/bin/sh\ncase "$*" in *comm=) ${paths};; *args=) ${lines};; esac\n`;
  fs.writeFileSync(join(folder, 'ps'), script, { mode: 0o755 });
  await onPlatform('darwin', { PATH: folder }, async () => assert.equal(await found(clone), [7, 42]));
});

test.run();
