import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';

const programs = new Set([
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
 * Pids of the cluster's own programs that were started with a path below `state`, recorded or not: what a killed run may
 * have left. A user's `tail -f` of a log there is not among them.
 */
export async function findProcesses(
  state: string,
): Promise<{ readonly pid: number; readonly program: string }[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,args='], { maxBuffer: 16 << 20 });
  const found: { pid: number; program: string }[] = [];
  for (const line of stdout.split('\n')) {
    const match = /^\s*(\d+)\s+(\S+)\s*(.*)$/.exec(line);
    if (!match) continue;
    const [, pid, command = '', args = ''] = match;
    const program = basename(command);
    if (!programs.has(program) || Number(pid) === process.pid) continue;
    // Of Node's processes only our job runner is meant, never a run of the tasks or of a test.
    if (program === 'node' && !args.includes('job-runner.ts')) continue;
    if (`${command} ${args} `.includes(`${state}/`)) found.push({ pid: Number(pid), program });
  }
  return found;
}
