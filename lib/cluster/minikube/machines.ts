import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import type { Environment } from '../../settings/environment.ts';

/** minikube's folder (pkg/minikube/localpath). */
function minikubeHome(): string {
  const home = process.env.MINIKUBE_HOME ?? homedir();
  return basename(home) === '.minikube' ? home : join(home, '.minikube');
}

/** Matches the nodes of the environment's profile: `<profile>`, `<profile>-m02`, … */
export const nodeNames = ({ clusterName }: Environment): RegExp => new RegExp(`^${clusterName}(-m\\d+)?$`);

/**
 * Removes minikube's records of the machines that `isGone` names. With the record of a vanished machine, minikube mistakes a
 * new one of that name for a member of the cluster, and waits six minutes for it.
 */
export async function forgetMachines(isGone: (name: string) => boolean): Promise<void> {
  const folder = join(minikubeHome(), 'machines');
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter(isGone)) await rm(join(folder, name), { recursive: true, force: true });
}
