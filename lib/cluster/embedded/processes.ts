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

type CommandLine = { readonly pid: number; readonly program: string; readonly words: readonly string[] };

/** Every process with its words. Linux tells where one ends, and needs no `ps`, which small images do not have. */
export async function commandLines(): Promise<CommandLine[]> {
  if (process.platform !== 'linux') {
    // The program's path may hold blanks: it is asked for alone.
    const [paths, lines] = await Promise.all(['comm=', 'args='].map(listProcesses));
    return [...(lines ?? [])].map(([pid, line]) => ({
      pid,
      program: basename(paths?.get(pid) ?? ''),
      words: line.split(/\s+/),
    }));
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const words = text.split('\0');
      return { pid, program: basename(words[0] ?? ''), words };
    }),
  );
}

/** One column of `ps` for every process. As the last column it is not cut off. */
async function listProcesses(column: string): Promise<Map<number, string>> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=', '-o', column], {
    maxBuffer: 16 << 20,
  });
  const lines = stdout.split('\n').map((line) => /^ *(\d+) +(.*?) *$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[Number(match[1]), match[2] ?? '']])));
}
