import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProcesses } from '../../../lib/cluster/embedded/processes.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { environmentIn } from '../../rig/environment.ts';

let folder: string;
const children: ChildProcess[] = [];

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'processes-'));
});
test.after.each(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** `sh` under another name, which waits for the end of its input. */
async function play(argv0: string, ...words: string[]): Promise<number> {
  const child = spawn('sh', ['-c', 'echo; read line', ...words], {
    argv0,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

const found = async (folder: string): Promise<number[]> =>
  (await findProcesses(environmentIn(folder))).map(({ pid }) => pid);

test('the cluster’s programs are found by a path of the environment or its cluster’s name', async () => {
  const { state, clusterName } = environmentIn(folder);
  const vault = await play('/opt/vault', 'server', '-config', `${state}/vault/server.hcl`);
  const etcd = await play('etcd', `--data-dir=${state}/kwok/etcd`);
  const kwokctl = await play('kwokctl', 'create', 'cluster', '--name', clusterName);
  assert.equal((await found(folder)).sort(), [vault, etcd, kwokctl].sort());
});

test('processes of another environment or clone, or of a user who reads the folder, are not found', async () => {
  const { state, clusterName } = environmentIn(folder);
  await play('vault', 'server', '-config', `${state}2/vault/server.hcl`);
  await play('vault', 'server', '-config', `/other${state}2/server.hcl`);
  await play('kwokctl', 'create', 'cluster', '--name', `${clusterName}0`);
  await play('tail', '-f', `${state}/logs/vault.log`);
  await play('vim', `${state}/kubeconfig`);
  assert.equal(await found(folder), []);
});

test('among Node processes, only the job runner is found', async () => {
  const { state } = environmentIn(folder);
  await play('node', '/clone/tasks.ts', 'status', `${state}/`);
  const words = ['/clone/lib/cluster/embedded/job-runner.ts', 'development', `${state}/`];
  // Fedora's Node has the second name.
  const runners = [await play('/usr/bin/node', ...words), await play('/usr/bin/node-22', ...words)];
  assert.equal((await found(folder)).sort(), runners.sort());
});

test('on macOS, where ps prints one line, spaces in paths do not hide them', async () => {
  const { state } = environmentIn(join(folder, 'my clone'));
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
  writeFileSync(join(folder, 'ps'), script, { mode: 0o755 });
  await onPlatform('darwin', { PATH: folder }, async () =>
    assert.equal(await found(join(folder, 'my clone')), [7, 42]),
  );
});

test.run();
