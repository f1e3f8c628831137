import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { sendSignal } from './children.ts';
import { poll } from './pause.ts';
import {
  isSameProcess,
  type ProcessIdentity,
  processIdentity,
  runningProcesses,
} from './process-identity.ts';

/** In the environment of every command of a run that holds a lock: what a killed run left behind is known by it. */
const variable = 'TASK_RUNNER_HOLDER';

/** How long an orphan may take to end after SIGTERM. A helm that is stopped brings its release back first. */
const graceMs = 10_000;

const markOf = ({ pid, startTime }: ProcessIdentity): string => `${pid}.${startTime.replaceAll(' ', '_')}`;

/** The mark that a holder's commands carry; without a holder none, also where we carry one ourselves. */
export function markEnvironment(holder: ProcessIdentity | undefined): NodeJS.ProcessEnv {
  return { [variable]: holder === undefined ? undefined : markOf(holder) };
}

/**
 * Ends the commands of a run that was killed: nobody forwarded a signal to them, and they would go on beside the next run.
 * SIGTERM, after 10 s SIGKILL. Returns how many there were. Where the environment of processes cannot be read, none.
 */
export async function endOrphans(holder: ProcessIdentity): Promise<number> {
  const pids = await markedProcesses(`${variable}=${markOf(holder)}`);
  const found = (await Promise.all(pids.map(processIdentity))).filter((orphan) => orphan !== undefined);
  const gone = (): Promise<boolean> =>
    poll(async () => !(await Promise.all(found.map(isSameProcess))).includes(true), graceMs);
  for (const { pid } of found) sendSignal(pid, 'SIGTERM');
  for (const { pid } of found) sendSignal(pid, 'SIGCONT');
  if (await gone()) return found.length;
  for (const orphan of found) if (await isSameProcess(orphan)) sendSignal(orphan.pid, 'SIGKILL');
  // A process in uninterruptible sleep survives even that for a while; nobody can do more.
  await gone();
  return found.length;
}

async function markedProcesses(entry: string): Promise<number[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-axwwE', '-o', 'pid=,command='], {
      maxBuffer: 16 << 20,
    });
    const lines = stdout.split('\n').filter((line) => ` ${line} `.includes(` ${entry} `));
    return lines.map((line) => Number.parseInt(line, 10)).filter((pid) => pid !== process.pid);
  }
  const pids = (await runningProcesses()).map(({ pid }) => pid);
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      return text.split('\0').includes(entry);
    }),
  );
  return pids.filter((pid, index) => marked[index] && pid !== process.pid);
}
