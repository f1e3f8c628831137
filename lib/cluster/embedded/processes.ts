import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { Environment } from '../../environment.ts';

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
  const ours = (word: string): boolean =>
    word.includes(`${state}/`) ||
    word.includes(`${plainState}/`) ||
    word === clusterName ||
    word === gnupgHome;
  const found: { pid: number; program: string }[] = [];
  for (const { pid, words } of await commandLines()) {
    const program = basename(words[0] ?? '');
    if (!programs.has(program) || pid === process.pid) continue;
    // Of Node's processes only our job runner is meant, never a run of the tasks or of a test.
    if (program === 'node' && !words.some((word) => word.endsWith('/job-runner.ts'))) continue;
    if (words.some(ours)) found.push({ pid, program });
  }
  return found;
}

type CommandLine = { readonly pid: number; readonly words: readonly string[] };

/** Every process with its words. Linux tells where one ends, and needs no `ps`, which small images do not have. */
async function commandLines(): Promise<CommandLine[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,args='], {
      maxBuffer: 16 << 20,
    });
    return stdout.split('\n').map((line) => {
      const [pid, ...words] = line.trim().split(/\s+/);
      return { pid: Number(pid), words };
    });
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, words: text.split('\0') };
    }),
  );
}
