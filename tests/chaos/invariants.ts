import { readdir, readFile, stat } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { livingServices } from '../../lib/cluster/embedded/services.ts';
import { poll } from '../../lib/ground/poll.ts';
import { runningProcesses } from '../../lib/runner/process-identity.ts';
import { atDatabase, forwarded, type Sandbox } from '../integration/sandbox.ts';
import { processesWith } from '../rig/launch.ts';
import { bash, callIn } from '../rig/programs.ts';
import { commandOf, disk } from './disturbances.ts';
import { environment } from './tasks.ts';

/** What the status of an environment without faults says. */
const well = [
  /^cluster +running, .*, (\d+) of \1 nodes ready$/m,
  /^vault +unsealed, configured$/m,
  /^database +reachable$/m,
  /^(release +\S+ +\S+ +deployed, revision \d+\n){10}/m,
];

/** Everything wrong with an environment that is to have no faults, a line each. */
export async function faultsOf(sandbox: Sandbox): Promise<string[]> {
  let said = '';
  // Again, because a query of the status gives up after seconds on a busy machine, and pods of minikube come back later.
  const isWell = async (): Promise<true | undefined> => {
    said = (await sandbox.task('status')).stdout;
    return (well.every((pattern) => pattern.test(said)) && !/^drift/m.test(said)) || undefined;
  };
  const fine = await poll(isWell, 300_000);
  // What a killed run has started ends by itself soon.
  await poll(async () => (await orphans(sandbox)).length === 0 || undefined, 60_000);
  return [...(fine ? [] : [said]), ...(await remains(sandbox)), ...(await leaks(sandbox))];
}

/** New files of the tasks themselves. */
const asked = /^(environments\/(staging\/|.*(zz-chaos|app3))|rendered\/|backup\/)/;

/** Processes that belong to no service, locks that no run holds, and unfinished files. */
export async function remains(sandbox: Sandbox): Promise<string[]> {
  const entries = await readdir(sandbox.path('.state'), { recursive: true }).catch(() => []);
  const stuck = entries.filter((file) => /\.(lock(\.takeover)*|pending|new)$/.test(file));
  const git = ['-C', sandbox.folder, 'ls-files', '--others', '--exclude-standard'];
  const others = (await output('git', git)).filter((file) => !asked.test(file));
  return [...(await orphans(sandbox)), ...[...stuck, ...others].map((file) => `left behind: ${file}`)];
}

/** True if a server of the embedded cluster has ended or, such as PostgreSQL after a SIGTERM, is about to. */
export async function isDegraded(sandbox: Sandbox): Promise<boolean> {
  return /degraded|not reachable/.test((await sandbox.task('status')).stdout);
}

async function orphans(sandbox: Sandbox): Promise<string[]> {
  const parents = new Map((await runningProcesses()).map(({ pid, parent }) => [pid, parent]));
  const services = await livingServices(sandbox.path('.state', environment));
  const allowed = new Set([process.pid, ...services.map(({ pid }) => pid)]);
  const isAllowed = (pid: number): boolean =>
    allowed.has(pid) || (pid > 1 && isAllowed(parents.get(pid) ?? 0));
  // All processes of the machine are ours, except its shell.
  const ours = disk === undefined ? processesWith(`HOME=${sandbox.home}`) : [...parents.keys()];
  const left = ours.filter((pid) => pid > 1 && pid !== process.ppid && !isAllowed(pid));
  const words = await Promise.all(left.map(commandOf));
  return words.filter((line) => line !== '').map((line) => `orphan: ${line}`);
}

async function output(program: string, words: readonly string[], input = ''): Promise<string[]> {
  const { stdout } = await callIn({ folder: '/', env: process.env }, program, words, input);
  return stdout.split('\n').filter((line) => line !== '');
}

export const files = (folder: string): Promise<string[]> =>
  output('find', [folder, '-printf', '%P %y %m %s %T@\n']);

/** Files with a secret that are outside of `.state` or that others may read. */
async function leaks(sandbox: Sandbox): Promise<string[]> {
  const words = ['-rlaF', '-D', 'skip', '-f', '-', disk ?? sandbox.folder];
  const found = await output('grep', words, [...secrets].join('\n'));
  const checked = found.map(async (file) => {
    const { mode } = await stat(file).catch(() => ({ mode: 0 }));
    if (!file.startsWith(sandbox.path('.state/'))) return `a secret is in ${file}`;
    return (mode & 0o77) === 0 ? '' : `others may read ${file}, which has a secret`;
  });
  return (await Promise.all(checked)).filter((line) => line !== '');
}

/** Rounds that have a row in PostgreSQL and a key in Vault, none of which may be lost. */
let rounds: number[] = [];

/** All secrets that the environment has had; none may be in a file for others, or be printed. */
export const secrets = new Set<string>();

/** After everything was removed, there is nothing to remember. */
export const forget = (): void => {
  rounds = [];
};

/** Returns what was lost of earlier rounds, a line each, and remembers another one. Collects the present secrets. */
export async function checkData(sandbox: Sandbox, round: number): Promise<string[]> {
  const state = (name: string) => readFile(sandbox.path('.state', environment, name), 'utf8');
  const file = `environments/${environment}/secrets/database.yaml`;
  const write = rounds.length === 0 ? 'put' : 'patch';
  const known = 'app1/chaos';
  // Another home, because Vault's program writes to it.
  const output = await forwarded(sandbox, environment, ['vault', 'vault', 8200], async (port) => {
    const script = `set -euo pipefail; variables=$(./run env); eval "$variables"; export HOME=/ VAULT_ADDR=https://127.0.0.1:${port}
      vault kv ${write} -mount=kv ${known} round${round}=${round} >&2
      vault kv get -mount=kv -format=json ${known}; echo ---; sops decrypt ${file}
      gpgconf --kill all`;
    const { stdout, stderr, exitCode } = await bash(script, sandbox);
    assert.is(exitCode, 0, stderr);
    return stdout;
  });
  const [json = '', decrypted = ''] = output.split('\n---\n');
  const keys = JSON.parse(json).data.data;
  const passwords = [...decrypted.matchAll(/: "?([^"\s]{10,})"?$/gm)].map(([, value = '']) => value);
  const tokens = (await state('vault/keys.json')).match(/[\w+/=.-]{24,}/g) ?? [];
  const [, clientKey = ''] = /client-key-data: (\S+)/.exec(await state('kubeconfig')) ?? [];
  for (const secret of [...passwords, ...tokens, clientKey]) if (secret !== '') secrets.add(secret);

  const [, password = ''] = /^password: "?([^"\n]*)/m.exec(decrypted) ?? [];
  const login = { user: 'postgres', password, database: 'app1' };
  const rows = await atDatabase(sandbox, environment, login, async (query) => {
    await query(`CREATE TABLE IF NOT EXISTS chaos (round int PRIMARY KEY)`);
    await query(`INSERT INTO chaos VALUES (${round})`);
    return (await query('SELECT round FROM chaos')).map((row) => row.round);
  });
  rounds.push(round);
  return rounds.flatMap((round) => [
    ...(rows.includes(round) ? [] : [`row ${round} of PostgreSQL is lost`]),
    ...(keys[`round${round}`] === String(round) ? [] : [`key ${round} of Vault is lost`]),
  ]);
}
