import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bootId, processStartTime, type TaskContext } from '@k8s-deployment/runner';
import { ifThere } from '../ground/if-there.ts';

/** For temporary files of programs. */
export const temporaryFolder = (state: string): string => join(state, 'tmp');

/** The name of a process's folder, which another process with its pid does not get; undefined if it has ended. */
async function nameOf(pid: number): Promise<string | undefined> {
  const start = await processStartTime(pid);
  if (start === undefined) return undefined;
  const digest = createHash('sha256')
    .update(`${start}\n${await bootId()}`)
    .digest('hex');
  return `run-${pid}-${digest.slice(0, 8)}`;
}

/**
 * A folder for this run's temporary files, which may show secrets: what helmfile leaves if it is killed, for example.
 * It is removed at the end of the run, after a SIGKILL by the next one that holds the lock.
 */
export async function runFolder(state: string, onRunEnd?: TaskContext['onRunEnd']): Promise<string> {
  const folder = join(temporaryFolder(state), (await nameOf(process.pid)) ?? 'run');
  // Undefined if it exists, as for later tasks of the run.
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined) onRunEnd?.(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Removes the folders of runs that were killed. */
export async function removeRunFolders(state: string): Promise<void> {
  const folder = temporaryFolder(state);
  for (const name of (await ifThere(readdir(folder))) ?? []) {
    const [, pid] = /^run-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || name === (await nameOf(Number(pid)))) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}
