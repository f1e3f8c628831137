import { spawn } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { livingServices } from '../../lib/cluster/embedded/services.ts';
import { runningProcesses } from '../../lib/runner/process-identity.ts';
import { ended } from '../../lib/runner/tests/rig/ended.ts';
import type { Sandbox } from '../integration/sandbox.ts';
import { processesWith } from '../rig/launched.ts';
import { inShell } from './data.ts';
import { commandOf } from './disturbances.ts';
import { disk } from './machine.ts';
import { environment } from './tasks.ts';

/** Everything wrong with an environment that is to be well, a line each. */
export async function faultsOf(sandbox: Sandbox, secrets: ReadonlySet<string>): Promise<string[]> {
  const { stdout, stderr, exitCode } = await sandbox.task('status', '--json');
  if (exitCode !== 0) return [`status failed: ${stderr}`];
  const { cluster, releases, vault, database } = JSON.parse(stdout);
  const found = [
    cluster.state === 'running' ? '' : `the cluster is ${cluster.state}`,
    ...cluster.nodes.map((node: { name: string; ready: boolean }) =>
      node.ready ? '' : `${node.name} not ready`,
    ),
    ...releases.map((release: { name: string; status: string }) =>
      release.status === 'deployed' ? '' : `${release.name} is ${release.status}`,
    ),
    releases.length === 10 ? '' : `${releases.length} releases`,
    vault?.initialized && !vault.sealed && vault.configured ? '' : `Vault is ${JSON.stringify(vault)}`,
    database?.reachable ? '' : `the database is ${JSON.stringify(database)}`,
  ];
  // It also finds refused passwords, manual changes and unready pods.
  const text = (await sandbox.task('status')).stdout;
  const told = text
    .split('\n')
    .filter((line) => /^(drift|database(?! +reachable$))|has \d of \d pods/.test(line));
  return [...found, ...told, ...(await remains(sandbox)), ...(await leaks(sandbox, secrets))].filter(
    (line) => line !== '',
  );
}

/** Processes that belong to no service, locks that no run holds, and unfinished files. */
export async function remains(sandbox: Sandbox): Promise<string[]> {
  const orphans = await orphansOf(sandbox);
  const files = await readdir(sandbox.path('.state'), { recursive: true }).catch(() => []);
  const stuck = files.filter(
    (file) => /\.lock(\.takeover)*$|\.pending$/.test(file) && !file.includes('/kwok/'),
  );
  return [...orphans.map((words) => `orphan: ${words}`), ...stuck.map((file) => `left in .state: ${file}`)];
}

async function orphansOf(sandbox: Sandbox): Promise<string[]> {
  const processes = await runningProcesses();
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const services = new Set((await livingServices(sandbox.path('.state', environment))).map(({ pid }) => pid));
  const ofService = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
      if (services.has(at)) return true;
    return false;
  };
  const own = disk === undefined ? new Set(processesWith(`HOME=${sandbox.home}`)) : new Set(parents.keys());
  const ours = [1, process.pid, process.ppid];
  const words = await Promise.all(
    [...own].filter((pid) => !ours.includes(pid) && !ofService(pid)).map(commandOf),
  );
  // esbuild serves the test itself; the agent of gpg belongs to the environment's keyring.
  return words.filter((line) => line !== '' && !/esbuild.* --ping/.test(line));
}

/** Every file of a folder with its mode, size and time, a line each. */
export const files = async (folder: string): Promise<string[]> => {
  const { stdout } = await ended(
    spawn('find', [folder, '-printf', '%P %y %m %s %T@\n'], { stdio: ['ignore', 'pipe', 'ignore'] }),
  );
  return stdout.split('\n').sort();
};

/** Files with a secret that are outside of `.state` or that others may read. */
async function leaks(sandbox: Sandbox, secrets: ReadonlySet<string>): Promise<string[]> {
  const grep = spawn('grep', ['-rlaF', '-D', 'skip', '-f', '-', disk ?? sandbox.folder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  grep.stdin.end([...secrets].join('\n'));
  const found = (await ended(grep)).stdout.split('\n').filter((line) => line !== '');
  const checked = await Promise.all(
    found.map(async (file) => {
      const mode = await stat(file).then(
        (info) => info.mode & 0o77,
        () => 0,
      );
      const inside = file.startsWith(sandbox.path('.state/'));
      return inside && mode === 0 ? '' : `a secret is in ${file}${inside ? `, which others may read` : ''}`;
    }),
  );
  return checked;
}

/** Adds the environment's present secrets. Passwords change, but old ones must not leak either. */
export async function collectSecrets(sandbox: Sandbox, secrets: Set<string>): Promise<void> {
  const stdout = await inShell(
    sandbox,
    `for file in environments/${environment}/secrets/*.yaml; do sops decrypt $file; done`,
    // There may be no cluster yet.
  ).catch(() => '');
  for (const [, value = ''] of stdout.matchAll(/: *"?([^"\s]{10,})"?$/gm)) secrets.add(value);
  const read = (...names: string[]) =>
    readFile(join(sandbox.path('.state', environment), ...names), 'utf8').catch(() => '');
  for (const [value] of (await read('vault', 'keys.json')).matchAll(/[\w+/=.-]{24,}/g)) secrets.add(value);
  for (const [, value = ''] of (await read('kubeconfig')).matchAll(/client-key-data: (\S+)/g))
    secrets.add(value);
}
