import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process. Pids are reused, but not with the same start time and boot. */
export type ProcessIdentity = {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  /** Where it runs; older versions did not record it. */
  readonly host?: string;
  /** Pids of another container say nothing here; only Linux has such namespaces. */
  readonly pidNamespace?: string;
};

/**
 * When the process started, only for comparison (Linux: clock ticks since boot, field 22 of /proc/<pid>/stat;
 * elsewhere `ps -o lstart=` in UTC, independent of the time zone). Undefined if there is no such process.
 */
export async function processStartTime(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return (await readStat(pid))?.startTime;
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)], {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    });
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

let ownBootId: Promise<string> | undefined;

/** Changes with each boot. */
export async function bootId(): Promise<string> {
  ownBootId ??=
    process.platform === 'linux'
      ? readFile('/proc/sys/kernel/random/boot_id', 'utf8')
      : // Not kern.boottime, which macOS changes when the clock is set.
        run('sysctl', ['-n', 'kern.bootsessionuuid']).then(({ stdout }) => stdout);
  return (await ownBootId.catch(() => '')).trim();
}

const ownNamespace = (): Promise<string> => readlink('/proc/self/ns/pid').catch(() => '');

export async function ownIdentity(): Promise<ProcessIdentity> {
  return (await processIdentity(process.pid)) ?? identityOf(process.pid, '');
}

/** The identity of a running process; undefined if there is none with this pid. */
export async function processIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = await processStartTime(pid);
  return startTime === undefined ? undefined : identityOf(pid, startTime);
}

const identityOf = async (pid: number, startTime: string): Promise<ProcessIdentity> => ({
  ...{ pid, startTime, bootId: await bootId() },
  ...{ host: hostname(), pidNamespace: await ownNamespace() },
});

/**
 * True if the process was started on another host or in another container that may still run, so that nothing here
 * tells whether it does. After a reboot of its host it has ended.
 */
export async function isElsewhere(identity: ProcessIdentity): Promise<boolean> {
  const { host = hostname(), pidNamespace = await ownNamespace() } = identity;
  if (identity.bootId !== (await bootId())) return host !== hostname();
  return pidNamespace !== (await ownNamespace());
}

/** True if this very process is still running here. */
export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await bootId()) || (await isElsewhere(identity))) return false;
  return (await processStartTime(identity.pid)) === identity.startTime;
}

/** True if this very process is running and is our ancestor, through running processes. */
export async function isAncestor(identity: ProcessIdentity): Promise<boolean> {
  if (!(await isSameProcess(identity))) return false;
  const parents = new Map((await runningProcesses()).map(({ pid, parent }) => [pid, parent]));
  for (let pid: number | undefined = process.ppid; pid !== undefined && pid > 1; pid = parents.get(pid)) {
    if (pid === identity.pid) return true;
  }
  return false;
}

/**
 * True if a process group has a running member. Zombies do not count: in containers whose pid 1 does not reap them,
 * signal 0 would find them forever.
 */
export async function isGroupAlive(group: number): Promise<boolean> {
  try {
    process.kill(-group, 0);
  } catch (error) {
    // EPERM: it exists, under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return (await runningProcesses()).some((other) => other.group === group);
}

/** The running children of a process. */
export async function childrenOf(pid: number): Promise<ProcessIdentity[]> {
  const children = (await runningProcesses()).filter(({ parent }) => parent === pid);
  const found = await Promise.all(children.map((child) => processIdentity(child.pid)));
  return found.filter((child) => child !== undefined);
}

type RunningProcess = { readonly pid: number; readonly parent: number; readonly group: number };

/** Processes of all users, except zombies. */
export async function runningProcesses(): Promise<RunningProcess[]> {
  if (process.platform === 'linux') {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const stats = await Promise.all(pids.map((pid) => readStat(Number(pid))));
    return stats.filter((stat) => stat !== undefined);
  }
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,pgid=,stat=']).catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, state = 'Z'] = line.trim().split(/\s+/);
    return state.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group) }];
  });
}

/** Undefined for zombies too. */
async function readStat(pid: number): Promise<(RunningProcess & { startTime: string }) | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field, the command in brackets, may contain blanks and brackets.
  const [state, parent, group, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, parent: Number(parent), group: Number(group), startTime: rest[16] ?? '' };
}
