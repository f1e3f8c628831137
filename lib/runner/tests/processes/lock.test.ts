import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError } from '../../errors.ts';
import { acquireLock, heartbeat, type LockHolder } from '../../lock.ts';
import { isGroupAlive, isSameProcess, ownIdentity, processIdentity } from '../../process-identity.ts';
import { folder, temporaryFolder, useFolder } from '../rig/folder.ts';
import { onPlatform } from '../rig/platform.ts';
import { refusalOf } from '../rig/refusal.ts';

useFolder(test);
let path: string;
test.before.each(async () => {
  path = join(folder, 'state', 'development.lock');
  await mkdir(join(folder, 'state'));
});

const usual = { ...heartbeat };
test.after.each(() => void Object.assign(heartbeat, usual));

const since = new Date(2026, 0, 1, 12, 1).toISOString();

async function holderOf(changes: Partial<LockHolder> = {}): Promise<string> {
  return JSON.stringify({ ...(await ownIdentity()), task: 'other', since, ...changes });
}

test('a lock that cannot be read or written ends the attempt, whether it may wait or not', async () => {
  const [nowhere, loop, file] = [join(folder, 'nowhere'), join(folder, 'loop'), join(folder, 'file')];
  await mkdir(path);
  await symlink(join(folder, 'a', 'b'), nowhere);
  await symlink(loop, loop);
  await writeFile(file, '');
  for (const [place, why, verb = 'read'] of [
    [path, 'EISDIR'],
    [nowhere, 'it is a link that leads nowhere'],
    [loop, 'ELOOP'],
    [join(file, 'x.lock'), 'EEXIST', 'write'],
  ] as const)
    for (const wait of [true, false]) {
      const error = await refusalOf(acquireLock(place, { task: 'x', wait }), TaskError);
      assert.is(error.what, `cannot ${verb} the lock ${place}`);
      assert.match(error.why, why);
      const advice = verb === 'read' ? 'remove it if no other run is at work' : `make ${file} a folder`;
      assert.match(error.advice, advice);
    }
});

test('waiting ends with the signal', async () => {
  const lock = await acquireLock(path, { task: 'first', wait: false });
  const abort = new AbortController();
  const waiting = { wait: true, signal: abort.signal, onWait: () => abort.abort() };
  await refusalOf(acquireLock(path, { task: 'second', ...waiting }), TaskError);
  await lock.release();
});

test('a lock of a dead process, a reused pid, another boot or a killed writer is taken over, with a takeover that was killed', async () => {
  const dead = spawn('true');
  await once(dead, 'exit');
  heartbeat.unwrittenMs = 400;
  const stale = [{ pid: dead.pid ?? 0 }, { startTime: '1' }, { bootId: 'before' }];
  for (const content of [...(await Promise.all(stale.map(holderOf))), '{"pid": 12']) {
    await writeFile(path, content);
    await utimes(path, 1, 1);
    await writeFile(`${path}.takeover`, await holderOf({ startTime: '2' }));
    const lock = await acquireLock(path, { task: 'new', wait: false });
    assert.match(await readFile(path, 'utf8'), '"new"');
    await lock.release();
    assert.equal(await readdir(join(folder, 'state')), []);
  }
});

test('a holder on another host or in another container counts as living as long as it touches its lock', async () => {
  const host = 'build-3';
  const places = [{ pidNamespace: 'pid:[1]' }, { host, bootId: 'theirs' }, { host, pidNamespace: 'pid:[1]' }];
  for (const place of places) {
    await writeFile(path, await holderOf({ ...place, startTime: '1' }));
    const { what } = await refusalOf(acquireLock(path, { task: 'new', wait: false }), TaskError);
    const where = 'host' in place ? 'on host or in container build-3' : 'in another container of this host';
    assert.match(what, where);
    assert.match(await readFile(path, 'utf8'), '"other"');
  }
  // Everything of this host has ended with its reboot, containers included.
  await writeFile(path, await holderOf({ bootId: 'before', pidNamespace: 'pid:[1]' }));
  await (await acquireLock(path, { task: 'new', wait: false })).release();
});

test('a lock from another container is taken over once nobody has touched it for a while', async () => {
  Object.assign(heartbeat, { everyMs: 5, silentMs: 400 });
  const living = await acquireLock(path, { task: 'other', wait: false });
  await writeFile(path, JSON.stringify({ ...living.holder, pidNamespace: 'pid:[1]' }));
  await utimes(path, 1, 1);
  while ((await stat(path)).mtimeMs === 1000) await turn();
  await refusalOf(acquireLock(path, { task: 'new', wait: false }), TaskError);
  // Ends the touching as well, and leaves the file, which is no longer its own.
  await living.release();
  for (const wait of [true, false]) {
    await writeFile(path, await holderOf({ pidNamespace: 'pid:[1]' }));
    await utimes(path, 1, 1);
    const start = performance.now();
    const lock = await acquireLock(path, { task: 'new', wait });
    assert.ok(performance.now() - start > heartbeat.silentMs);
    await lock.release();
  }
});

// Only root may mount, and not in every container.
const mayMount = spawnSync('unshare', ['--mount', 'true']).status === 0;
if (!mayMount) process.stdout.write('left out: a lock on a full disk, which cannot be mounted here\n');

(mayMount ? test : test.skip)('on a full disk, an empty lock is held as long as it is touched', async () => {
  Object.assign(heartbeat, { everyMs: 5, unwrittenMs: 400 });
  const disk = join(folder, 'state');
  assert.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'none', disk]).status, 0);
  try {
    await writeFile(join(disk, 'all'), Buffer.alloc(4096));
    const first = await acquireLock(path, { task: 'first', wait: false });
    assert.is(await readFile(path, 'utf8'), '');
    const { what } = await refusalOf(acquireLock(path, { task: 'impatient', wait: false }), TaskError);
    assert.is(what, 'another run is at work');
    let isHeld = true;
    const second = acquireLock(path, { task: 'second', wait: true });
    const ended = second.then(() => assert.not(isHeld));
    for (const start = performance.now(); performance.now() - start < 2 * heartbeat.unwrittenMs; )
      await turn();
    isHeld = false;
    await first.release();
    await ended;
    await (await second).release();
    assert.equal(await readdir(disk), ['all']);
  } finally {
    spawnSync('umount', [disk]);
  }
});

test('a lock that was taken while one waited to remove a stale one is left alone', async () => {
  const guard = await acquireLock(`${path}.takeover`, { task: 'guard', wait: false });
  await writeFile(path, await holderOf({ startTime: '1' }));
  // Handled from the start: on a busy machine it may end before the guard is released.
  const second = refusalOf(acquireLock(path, { task: 'second', wait: false }), TaskError);
  for (let turns = 0; turns < 500; turns += 1) await turn();
  await writeFile(path, await holderOf());
  await guard.release();
  assert.match((await second).what, 'run of other');
});

test('many that find the same stale lock get it one after another', async () => {
  for (let round = 0; round < 5; round += 1) {
    await writeFile(path, await holderOf({ startTime: '1' }));
    let holders = 0;
    const one = async (task: string): Promise<void> => {
      const lock = await acquireLock(path, { task, wait: true });
      holders += 1;
      assert.is(holders, 1);
      await turn();
      holders -= 1;
      await lock.release();
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(one));
  }
  assert.equal(await readdir(join(folder, 'state')), []);
});

test('a folder that disappears during the wait is created again; the lock in it is left to its new holder', async () => {
  const first = await acquireLock(path, { task: 'first', wait: false });
  const onWait = (): void => void rm(folder, { recursive: true, force: true });
  const second = await acquireLock(path, { task: 'second', wait: true, onWait });
  await first.release();
  assert.match(await readFile(path, 'utf8'), '"second"');
  await second.release();
});

test('a process with blanks and brackets in its name is known until it ends, in its own container', async () => {
  const program = join(temporaryFolder(), ') Z 1 (x');
  writeFileSync(program, '#!/bin/sh\nread line\n', { mode: 0o755 });
  const child = spawn(program, { stdio: ['pipe', 'ignore', 'ignore'] });
  const identity = await processIdentity(child.pid ?? 0);
  assert.ok(identity && (await isSameProcess(identity)));
  assert.not(await isSameProcess({ ...identity, pidNamespace: 'pid:[1]' }));
  child.stdin.end();
  await once(child, 'exit');
  assert.not(await isSameProcess(identity));
});

test('a group lives as long as any member, whether its leader lives or not', async () => {
  const leader = spawn('sh', ['-c', 'sleep 1000 & exit 0'], { detached: true, stdio: 'ignore' });
  const group = leader.pid ?? 0;
  await once(leader, 'exit');
  assert.ok(await isGroupAlive(group));
  process.kill(-group, 'SIGKILL');
  while (await isGroupAlive(group)) await turn();
});

test('a group of nothing but zombies is not alive', async () => {
  // Job control gives the background process a group of its own. It must end only after bash has turned into a cat,
  // which never reaps it (bash would): the answer on standard output tells that this has come to pass.
  const script = 'set -m; cat <&3 & echo $!; exec 3<&-; exec cat';
  const parent = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore', 'pipe'] });
  try {
    const [line] = await once(parent.stdout as Readable, 'data');
    const group = Number(line);
    (parent.stdin as Writable).write('?');
    await once(parent.stdout as Readable, 'data');
    (parent.stdio[3] as Writable).end();
    for (const deadline = Date.now() + 5000; await isGroupAlive(group); ) assert.ok(Date.now() < deadline);
    assert.ok(process.kill(-group, 0));
  } finally {
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  }
});

test('on macOS the boot is known by its session, and a start time does not depend on the time zone', async () => {
  const bin = temporaryFolder();
  const script = '#!/bin/sh\n[ "$*" = "-n kern.bootsessionuuid" ] && echo 2F6A\n';
  writeFileSync(join(bin, 'sysctl'), script, { mode: 0o755 });
  const variables = { PATH: [bin, process.env.PATH].join(delimiter), TZ: 'Asia/Tokyo' };
  await onPlatform('darwin', variables, async () => {
    // A copy that has not asked for the boot yet.
    const module = '../../process-identity.ts?mac';
    const fresh: typeof import('../../process-identity.ts') = await import(module);
    const own = await fresh.ownIdentity();
    assert.is(own.bootId, '2F6A');
    assert.match(own.startTime, /^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}$/);
    process.env.TZ = 'America/Lima';
    assert.ok(await fresh.isSameProcess(own));
  });
});

test.run();
