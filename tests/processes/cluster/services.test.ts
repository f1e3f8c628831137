import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSameProcess, processStartTime } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isUp } from '../../../lib/cluster/embedded/launch.ts';
import {
  logTail,
  readServices,
  recordService,
  type ServiceRecord,
  serviceLog,
  startService,
  stopServices,
  waitForService,
} from '../../../lib/cluster/embedded/services.ts';
import { fails } from '../../rig/task-context.ts';

let folder: string;

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'services-'));
});
test.after.each(async () => {
  for (const record of await readServices(folder))
    if (await isSameProcess(record)) process.kill(record.pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Services that say in their log what they do. */
const shell = (script: string): string[] => ['sh', '-c', script];
const server = shell('echo ready; exec sleep 1000');

/** A service that does something when the signal comes, and ends. */
const heeding = (signal: string, action: string): string[] => [
  ...[process.execPath, '-e'],
  `process.on('${signal}', () => { ${action}; process.exit(); }); setInterval(() => {}, 1e9); console.log('ready');`,
];

/** Resolves when the service's log holds the text. */
async function said(record: ServiceRecord, text: string): Promise<void> {
  const ready = async () => (await logTail(folder, record.name)).includes(text);
  await waitForService(folder, record, ready, { timeoutMs: 5000, signal: new AbortController().signal });
}

test('a service is recorded by pid, start time and boot, its output goes to its log, and stopped it is forgotten', async () => {
  const record = await startService(folder, 'vault', server);
  await said(record, 'ready');
  assert.equal(await readServices(folder), [record]);
  assert.is(record.startTime, await processStartTime(record.pid));
  assert.is(await isSameProcess(record), true);
  assert.is(readFileSync(serviceLog(folder, 'vault'), 'utf8'), 'ready\n');
  assert.is(statSync(serviceLog(folder, 'vault')).mode & 0o777, 0o600);
  // Signals to our process group do not reach its own.
  assert.is(process.kill(-record.pid, 0), true);
  await stopServices(folder, [record]);
  assert.is(await isSameProcess(record), false);
  assert.equal(await readServices(folder), []);
});

test('a service is up if it answers and was started with the same digest', async () => {
  await startService(folder, 'vault', server, {}, 'one');
  const up = (digest?: string, answers = true) =>
    isUp({ state: folder }, 'vault', async () => answers, digest);
  assert.equal(
    [await up('one'), await up('two'), await up(), await up('one', false)],
    [true, false, false, false],
  );
});

test('a service that ignores TERM is killed after its grace period', async () => {
  const record = await startService(folder, 'vault', shell('trap "" TERM; echo deaf; exec sleep 1000'));
  await said(record, 'deaf');
  await stopServices(folder, [record], 10);
  assert.is(await isSameProcess(record), false);
});

test('the API server is stopped after its clients, and etcd last; PostgreSQL by INT, its fast shutdown', async () => {
  const order = join(folder, 'order');
  const records = await Promise.all(
    ['etcd', 'kube-apiserver', 'vault', 'kube-scheduler', 'postgresql'].map((name) => {
      const append = `fs.appendFileSync(${JSON.stringify(order)}, ${JSON.stringify(`${name}\n`)})`;
      return startService(folder, name, heeding(name === 'postgresql' ? 'SIGINT' : 'SIGTERM', append));
    }),
  );
  await Promise.all(records.map((record) => said(record, 'ready')));
  await stopServices(folder, records);
  const stopped = readFileSync(order, 'utf8').trim().split('\n');
  assert.equal(stopped.slice(0, 3).sort(), ['kube-scheduler', 'postgresql', 'vault']);
  assert.equal(stopped.slice(3), ['kube-apiserver', 'etcd']);
});

test('a pid reused by another process is forgotten, never killed', async () => {
  const foreign = spawn('sleep', ['1000'], { stdio: 'ignore' });
  try {
    await once(foreign, 'spawn');
    const own = await recordService(folder, 'vault', foreign.pid ?? 0);
    assert.ok(own);
    await stopServices(folder, [{ ...own, bootId: 'the one before' }], 10);
    assert.is(await isSameProcess(own), true);
    assert.equal(readdirSync(join(folder, 'services')), []);
  } finally {
    foreign.kill('SIGKILL');
  }
});

test('a copied clone has none of the services of the original; a moved one, or another path to it, has them', async () => {
  const own = join(folder, 'own');
  const record = await startService(own, 'vault', server);
  try {
    const copy = join(folder, 'copy');
    cpSync(own, copy, { recursive: true });
    assert.equal(await readServices(copy), []);
    symlinkSync(own, join(folder, 'link'));
    assert.equal(await readServices(join(folder, 'link')), [record]);
    renameSync(own, join(folder, 'moved'));
    assert.equal(await readServices(join(folder, 'moved')), [record]);
  } finally {
    process.kill(record.pid, 'SIGKILL');
  }
});

test('no service: a process that has ended, a program that does not exist, a damaged record', async () => {
  const ended = spawn('true', { stdio: 'ignore' });
  await once(ended, 'exit');
  assert.is(await recordService(folder, 'vault', ended.pid ?? 0), undefined);
  const starting = startService(folder, 'vault', ['/nowhere/vault']);
  await fails(starting, { what: 'vault could not be started', why: /ENOENT/ });
  mkdirSync(join(folder, 'services'), { recursive: true });
  writeFileSync(join(folder, 'services', 'vault.json'), '{"pid":');
  writeFileSync(join(folder, 'services', 'notes.txt'), 'mine');
  assert.equal(await readServices(folder), []);
});

test('a wait ends after its time, with the run, and with the service: the reason is the last line of its log', async () => {
  const { signal } = new AbortController();
  const wait = (record: ServiceRecord, ready = false, timeoutMs = 5000, stop = signal) =>
    waitForService(folder, record, async () => ready, { timeoutMs, signal: stop });
  const record = await startService(folder, 'vault', server);
  await said(record, 'ready');
  await fails(wait(record, false, 0), { what: 'vault was not ready after 0 s' });
  const stopped = await wait(record, true, 5000, AbortSignal.abort()).catch((error) => error);
  assert.is(stopped.name, 'AbortError');
  const failing = shell('echo starting; echo "bad port" >&2; exit 3');
  // It may end before it is recorded; the error must be the same.
  const starting = startService(folder, 'etcd', failing).then((started) => wait(started));
  await fails(starting, { what: 'etcd ended while starting', why: 'bad port' });
});

test('a process that cannot be ended is reported, and its record stays', async () => {
  const record = await startService(folder, 'one', server);
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

test.run();
