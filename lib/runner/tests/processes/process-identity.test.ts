import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isGroupAlive, isSameProcess, processIdentity } from '../../process-identity.ts';
import { temporaryFolder } from '../rig/folder.ts';
import { onPlatform } from '../rig/platform.ts';

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
  while (await isGroupAlive(group)) await new Promise((resolve) => setImmediate(resolve));
  assert.not(await isGroupAlive(group));
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
