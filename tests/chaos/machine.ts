import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/*
 * A machine of its own for the rounds, made of Linux namespaces: its processes are all ours, its network is only
 * loopback, and its disk is small. All of it can be broken without privileges, and nothing outlives it.
 */

const run = promisify(execFile);

/** The disk of the machine, a tmpfs; undefined outside of it. */
export const disk = process.env.CHAOS_DISK;

const diskSize = '2g';

/** kube-apiserver needs a default route, and a link that went down has lost it. */
const linkUp = 'ip link set lo up && ip route replace default dev lo';

/** Runs this file again inside the machine and returns its exit code. */
export async function enterMachine(file: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'kd-chaos-'));
  const namespaces = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--mount-proc'];
  // Not `exec`: the shell is process 1 and has to wait for orphans.
  const script = `mount -t tmpfs -o size=${diskSize},mode=700 chaos "$CHAOS_DISK" && ${linkUp} && "$@"; exit $?`;
  const words = ['sh', '-c', script, 'sh', process.execPath, '--import', 'tsx', file];
  const child = spawn('unshare', [...namespaces, '--fork', '--kill-child', ...words], {
    stdio: 'inherit',
    env: { ...process.env, CHAOS_DISK: folder, TMPDIR: folder },
  });
  const [code] = await once(child, 'exit');
  await rm(folder, { recursive: true, force: true });
  return code ?? 1;
}

const resize = (size: string | number) =>
  run('mount', ['-o', `remount,size=${size}`, 'chaos', disk as string]);

/** Leaves so many bytes free. */
export async function fillDisk(left: number): Promise<void> {
  const { blocks, bfree, bsize } = await statfs(disk as string);
  await resize((blocks - bfree) * bsize + left);
}

export const freeDisk = () => resize(diskSize);
export const networkDown = () => run('ip', ['link', 'set', 'lo', 'down']);
export const networkUp = () => run('sh', ['-c', linkUp]);
