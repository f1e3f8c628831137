import { readdir, readlink } from 'node:fs/promises';
import { sep } from 'node:path';

/**
 * Ends every process that works in this folder or below and answers with their pids: a daemon has left the group of the command
 * that started it. Where processes cannot be looked at (no /proc), none.
 */
export async function endLeftovers(folder: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const left: number[] = [];
  for (const pid of pids) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    if (pid === process.pid || cwd === undefined || !`${cwd}${sep}`.startsWith(`${folder}${sep}`)) continue;
    try {
      process.kill(pid, 'SIGKILL');
      left.push(pid);
    } catch {
      // It has ended.
    }
  }
  return left;
}
