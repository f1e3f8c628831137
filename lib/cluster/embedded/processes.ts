import { commandLines } from '../../ground/command-lines.ts';
import type { Environment } from '../../settings/environment.ts';

const programs = new Set([
  'kwokctl',
  'gpg-agent',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok-controller',
  'vault',
  'vault-secrets-operator',
  'postgres',
  'node',
]);

/**
 * Pids of the environment's own programs, recorded or not: what a killed run may have left. They were started with a path
 * of the environment or with its cluster's name. A user's `tail -f` of a log there is not among them.
 */
export async function findProcesses(
  environment: Pick<Environment, 'state' | 'clusterName' | 'gnupgHome' | 'plainState'>,
): Promise<{ readonly pid: number; readonly program: string }[]> {
  const { state, clusterName, gnupgHome, plainState } = environment;
  const names = new Set([clusterName, gnupgHome]);
  const found: { pid: number; program: string }[] = [];
  for (const { pid, program, words } of await commandLines()) {
    if (!programs.has(program) || pid === process.pid) continue;
    // Of Node's processes only our job runner is meant, never a run of the tasks or of a test.
    if (program === 'node' && !words.some((word) => word.endsWith('/job-runner.ts'))) continue;
    const line = words.join(' ');
    const ours = line.includes(`${state}/`) || line.includes(`${plainState}/`);
    if (ours || words.some((word) => names.has(word))) found.push({ pid, program });
  }
  return found;
}
