import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readServices } from '../../lib/cluster/embedded/services.ts';
import { runningProcesses } from '../../lib/runner/process-identity.ts';
import { pick, type Random } from '../../lib/runner/tests/rig/random-graph.ts';

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

async function fillDisk(left: number): Promise<void> {
  const { blocks, bfree, bsize } = await statfs(disk as string);
  await resize((blocks - bfree) * bsize + left);
}

const freeDisk = () => resize(diskSize);
const networkDown = () => run('ip', ['link', 'set', 'lo', 'down']);
const networkUp = () => run('sh', ['-c', linkUp]);

/** A run that is to be disturbed, and the state folder of its environment. */
type Run = { readonly child: ChildProcess; readonly state: string };

export type Disturbance = {
  readonly name: string;
  /** Variables for the run, if it has to be prepared for the disturbance after so many milliseconds. */
  readonly env?: (afterMs: number) => NodeJS.ProcessEnv;
  /** Servers may end by it. */
  readonly hitsServers?: true;
  /** Returns what was hit. */
  readonly strike: (run: Run) => Promise<string>;
  /** Ends what would go on. */
  readonly heal?: () => Promise<unknown>;
  /** The exit code of a run that was asked to stop; nothing of it may be left. */
  readonly exitCode?: number;
};

const signals = ['SIGTERM', 'SIGINT', 'SIGKILL'] as const;

/** Sends a signal to one of these processes, the same for the same number. Returns its command line. */
async function hit(pids: readonly number[], number: number, signal: NodeJS.Signals): Promise<string> {
  const pid = pids[Math.floor(number * pids.length)];
  if (pid === undefined) return 'nothing';
  const words = await commandOf(pid);
  try {
    process.kill(pid, signal);
  } catch {
    return 'nothing: it has ended';
  }
  return words.slice(0, 100);
}

export async function commandOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.replaceAll('\0', ' ').trim();
}

/** Processes that the run started, and theirs, in the order of their start. */
async function descendants(root: number): Promise<number[]> {
  const family = new Set([root]);
  for (const { pid, parent } of (await runningProcesses()).sort((one, other) => one.pid - other.pid))
    if (family.has(parent)) family.add(pid);
  family.delete(root);
  return [...family];
}

function ofRun(random: Random): Disturbance {
  const signal = pick(random, signals);
  const twice = signal === 'SIGINT' && random() < 0.3;
  return {
    name: `${signal} of the run${twice ? ', twice' : ''}`,
    ...(signal !== 'SIGKILL' && { exitCode: signal === 'SIGINT' ? 130 : 143 }),
    strike: async ({ child }) => {
      child.kill(signal);
      if (twice) setTimeout(() => child.kill(signal), 300);
      return `pid ${child.pid}`;
    },
  };
}

function ofChild(random: Random): Disturbance {
  const signal = pick(random, signals);
  const number = random();
  return {
    name: `${signal} of a child`,
    hitsServers: true,
    strike: async ({ child }) => hit(await descendants(child.pid ?? 0), number, signal),
  };
}

function ofService(random: Random): Disturbance {
  const signal = pick(random, ['SIGKILL', 'SIGTERM'] as const);
  const number = random();
  return {
    name: `${signal} of a service`,
    hitsServers: true,
    strike: async ({ state }) => {
      const services = (await readServices(state)).sort((one, other) => (one.name < other.name ? -1 : 1));
      const pids = services.map(({ pid }) => pid);
      return hit(pids, number, signal);
    },
  };
}

function fullDisk(random: Random): Disturbance {
  const left = Math.floor(random() ** 3 * 2 ** 22);
  const name = `full disk, ${Math.round(left / 1024)} KiB left`;
  return { name, hitsServers: true, strike: () => fillDisk(left).then(() => 'disk'), heal: freeDisk };
}

function noNetwork(random: Random): Disturbance {
  const ms = Math.floor(1000 + random() * 14_000);
  return {
    name: `network down for ${ms} ms`,
    hitsServers: true,
    strike: async () => {
      await networkDown();
      setTimeout(() => void networkUp(), ms);
      return 'loopback';
    },
    heal: networkUp,
  };
}

/** The clock of the run: a namespace has no clock that could be set, and Go programs read it without libc. */
function clockJump(random: Random): Disturbance {
  const hours = pick(random, [-48, -1, 1, 48]);
  const jump = (afterMs: number) => `
    const { now } = Date, start = performance.now(), Real = Date;
    Date.now = () => now() + (performance.now() - start > ${afterMs} ? ${hours * 3_600_000} : 0);
    globalThis.Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(Real.now()); } };`;
  const script = (afterMs: number) => `--import=data:text/javascript,${encodeURIComponent(jump(afterMs))}`;
  return {
    name: `clock jumps by ${hours} h`,
    env: (afterMs) => ({ NODE_OPTIONS: script(afterMs) }),
    strike: async () => 'clock',
  };
}

/** A disturbance, the same for the same numbers. Outside of a machine of its own, only those of the run. */
export function disturbance(random: Random): Disturbance {
  const kinds = [ofRun, ofRun, ofChild, ofChild, clockJump, ofService, ofService, fullDisk, noNetwork];
  return pick(random, disk === undefined ? kinds.slice(0, 5) : kinds)(random);
}
