import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { sendSignal, sendSignals } from './children.ts';
import { poll } from './pause.ts';
import {
  isSameProcess,
  type ProcessIdentity,
  processIdentity,
  runningProcesses,
} from './process-identity.ts';

/** Variable that marks every command of a run with a lock, to recognise what a killed run left. */
const variable = 'TASK_RUNNER_HOLDER';

/** Milliseconds for an orphan to end after SIGTERM; helm first rolls its release back. */
const graceMs = 10_000;

const markOf = ({ pid, startTime }: ProcessIdentity): string => `${pid}.${startTime.replaceAll(' ', '_')}`;

/** The variable that marks a holder's commands; without a holder, it is unset. */
export function markEnvironment(holder: ProcessIdentity | undefined): NodeJS.ProcessEnv {
  return { [variable]: holder === undefined ? undefined : markOf(holder) };
}

/**
 * Ends the commands of a killed run, which got no signal and would run beside the next one. SIGTERM, after 10 s
 * SIGKILL. Returns their number, 0 if the variables of processes are unreadable.
 */
export async function endOrphans(holder: ProcessIdentity): Promise<number> {
  const pids = await markedProcesses(`${variable}=${markOf(holder)}`);
  const found = (await Promise.all(pids.map(processIdentity))).filter((orphan) => orphan !== undefined);
  const gone = (): Promise<boolean> =>
    poll(async () => !(await Promise.all(found.map(isSameProcess))).includes(true), graceMs);
  sendSignals(
    found.map(({ pid }) => pid),
    'SIGTERM',
  );
  if (await gone()) return found.length;
  for (const orphan of found) if (await isSameProcess(orphan)) sendSignal(orphan.pid, 'SIGKILL');
  // A process in uninterruptible sleep survives SIGKILL for a while; no more can be done.
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
