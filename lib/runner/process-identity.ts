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

/** When the process started, only for comparison. Undefined if there is no such process. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  return (await runningProcesses(pid))[0]?.startTime;
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
  return Promise.all(children.map((child) => identityOf(child.pid, child.startTime)));
}

/** `startTime`: on Linux clock ticks since boot, elsewhere in UTC, independent of the time zone. */
type RunningProcess = Readonly<Record<'pid' | 'parent' | 'group', number> & { startTime: string }>;

const fields = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+([^Z\s]\S*)\s+(.*\S)/;

/** Processes of all users, or only this one; no zombies. */
export async function runningProcesses(only?: number): Promise<RunningProcess[]> {
  if (process.platform === 'linux') {
    const names = only === undefined ? await readdir('/proc') : [String(only)];
    const stats = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(readStat));
    return stats.filter((stat) => stat !== undefined);
  }
  const which = only === undefined ? ['-A'] : ['-p', String(only)];
  const { stdout } = await run('ps', [...which, '-o', 'pid=,ppid=,pgid=,stat=,lstart='], {
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
  }).catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, group, , startTime] = fields.exec(line) ?? [];
    if (startTime === undefined) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), startTime }];
  });
}

/** Undefined for zombies too. */
async function readStat(pid: string): Promise<RunningProcess | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field, the command in brackets, may contain blanks and brackets.
  const [state, parent, group, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return undefined;
  // The start time is field 22.
  return { pid: Number(pid), parent: Number(parent), group: Number(group), startTime: rest[16] ?? '' };
}
