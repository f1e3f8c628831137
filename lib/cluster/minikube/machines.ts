import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import type { Environment } from '../../settings/environment.ts';

/** Where minikube keeps its files (its pkg/minikube/localpath). */
function minikubeHome(): string {
  const home = process.env.MINIKUBE_HOME ?? homedir();
  return basename(home) === '.minikube' ? home : join(home, '.minikube');
}

/** Matches the nodes of the environment's profile: `<profile>`, `<profile>-m02`, … */
export const nodeNames = ({ clusterName }: Environment): RegExp => new RegExp(`^${clusterName}(-m\\d+)?$`);

/**
 * Removes minikube's records of the machines that `isGone` names. minikube keeps that of a machine that vanished, takes a new one of
 * the same name for one that has joined the cluster, and waits for it for six minutes.
 */
export async function forgetMachines(isGone: (name: string) => boolean): Promise<void> {
  const folder = join(minikubeHome(), 'machines');
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter(isGone)) await rm(join(folder, name), { recursive: true, force: true });
}
