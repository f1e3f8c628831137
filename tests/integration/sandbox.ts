import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { type Query, withLogin } from '../../lib/database/login.ts';
import { root } from '../../lib/ground/project.ts';
import type { Status } from '../../lib/operations/status.ts';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';
import { Launched, processesWith } from '../rig/launch.ts';
import { callIn, outputOf } from '../rig/programs.ts';
import { isOfExamples } from '../rig/project-copy.ts';

// A cluster starts within minutes even on a busy machine.
process.env.RIG_DEADLINE_MS ??= '300000';

export type Sandbox = Awaited<ReturnType<typeof makeSandbox>>;

/** A clone of the working tree. `prefix` ends the folder's name; `place` is the folder to create it in. */
export async function makeSandbox(prefix = 'kd-', place?: string) {
  const base = place ?? (await mkdtemp(join(tmpdir(), prefix)));
  const folder = join(base, 'clone');
  const home = join(base, 'home');
  await mkdir(home, { recursive: true });
  const inProject = { folder: root, env: process.env };
  const listed = await outputOf(inProject, 'git', ['ls-files', '-co', '--exclude-standard']);
  const files = listed.split('\n').filter((name) => name !== '' && isOfExamples(name));
  const folders = new Set(files.map((file) => dirname(join(folder, file))));
  await Promise.all([...folders].map((path) => mkdir(path, { recursive: true })));
  // Git may still list a file that was removed from the tree.
  await Promise.all(
    files.map((file) => copyFile(join(root, file), join(folder, file)).catch(unless('ENOENT'))),
  );
  // The bundle comes last, so that it is newer than the sources and no clone builds its own.
  await outputOf(inProject, './run', ['--version']);
  await mkdir(join(folder, '.build'), { recursive: true });
  for (const name of ['tasks.mjs', 'tasks.mjs.map'])
    await copyFile(join(root, '.build', name), join(folder, '.build', name)).catch(unless('ENOENT'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules')).catch(unless('EEXIST'));

  const env: NodeJS.ProcessEnv = { ...process.env, HOME: home };
  // Tools and their build caches keep their place; only the home is new.
  env.XDG_CACHE_HOME ??= join(homedir(), '.cache');
  for (const name of ['ENVIRONMENT', 'CLUSTER_PROVIDER', 'CLUSTER_CONTEXT', 'KUBECONFIG', 'CI'])
    delete env[name];

  let isStopped = false;
  const start = (command: string, args: readonly string[]) => callIn({ folder, env }, command, args);
  const run: typeof start = (...words) => (isStopped ? new Promise(() => {}) : start(...words));
  /** Runs a task by `./run`, which starts in a third of the time of the sources. */
  const task = (...words: readonly string[]) => run('./run', words);
  const succeeds = async (...words: readonly string[]): Promise<Ended> => {
    const ended = await task(...words);
    assert.is(ended.exitCode, 0, `${words.join(' ')}: ${ended.stderr}`);
    return ended;
  };
  const script = async (text: string): Promise<Ended> => {
    const ended = await run('bash', ['-c', `set -euo pipefail\n${text}`]);
    assert.is(ended.exitCode, 0, ended.stderr);
    return ended;
  };
  let variables: string | undefined;
  /** Output of a bash script in the folder with the variables of `./run env`, which is asked once. */
  const shell = async (text: string): Promise<string> => {
    variables ??= (await succeeds('env')).stdout;
    return (await script(`${variables}\n${text}`)).stdout.trim();
  };

  const remove = () => rm(base, { recursive: true, force: true });
  return {
    /** A copy of the sources, so that the developer's environment is not touched. */
    folder,
    /** An empty home, which shows what a run writes there. */
    home,
    env,
    ...{ task, succeeds, script, shell, remove },
    /** Expects a task to fail with a short error without a stack, this exit code and this text. */
    refuses: async (words: readonly string[], exitCode: number, said: RegExp) =>
      assertRefused(await task(...words), exitCode, said),
    status: async () => JSON.parse((await succeeds('status', '--json')).stdout) as Status,
    path: (...names: readonly string[]) => join(folder, ...names),
    /** Destroys the environments and removes everything after the suite, or when a signal ends the tests. */
    removeAfter: (tests: { after(hook: () => Promise<void>): void }, ...environments: readonly string[]) => {
      const destroy = async () => {
        for (const name of environments)
          await start('./run', ['destroy-environment', '--yes', '--env', name]);
        await remove();
      };
      tests.after(destroy);
      // tests/run.ts passes on Ctrl-C as well.
      process.once('SIGTERM', () => {
        isStopped = true;
        void destroy().finally(() => process.exit(143));
      });
    },
  };
}

/** Vault's status when it is in use. */
export const openVault = { initialized: true, sealed: false, configured: true };

/** Expects a short error without a stack, with this exit code and this text. */
export function assertRefused({ exitCode, stderr }: Ended, code: number, said: RegExp): void {
  assert.is(exitCode, code, stderr);
  assert.match(stderr, said);
  const error = stderr.slice(stderr.indexOf('error: ')).trimEnd().split('\n');
  assert.ok(error.length <= 12, stderr);
  assert.match(error[1] ?? '', /^ {2}(why|do): /);
  assert.not.match(stderr, /^ +at .*:\d+/m);
}

const unless =
  (code: string) =>
  (error: NodeJS.ErrnoException): void => {
    if (error.code !== code) throw error;
  };

/** A value of a Secret, decoded, through the sandbox's own kubeconfig. */
export async function secretOf(sandbox: Sandbox, namespace: string, name: string) {
  const secret = await sandbox.shell(`kubectl -n ${namespace} get secret ${name} -o json`);
  const data = Object.entries<string>(JSON.parse(secret).data);
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

export const readText = (path: string): Promise<string> => readFile(path, 'utf8');

/** Starts a task; its events are in the output. With `terminal` on a pseudo-terminal of script(1). */
export function startRun({ folder, home, env }: Sandbox, words: readonly string[], terminal = false) {
  const command = ['./run', ...words, '--output', 'json'];
  const [program = '', ...args] = terminal ? ['script', '-qefc', command.join(' '), '/dev/null'] : command;
  const stdin = terminal ? 'pipe' : 'ignore';
  const child = spawn(program, args, { cwd: folder, env, stdio: [stdin, 'pipe', 'pipe'] });
  return new Launched(child, `HOME=${home}`);
}

/** The event of a task that has started or succeeded, as the output shows it. */
export const eventOf = (event: 'started' | 'done', name: string): string =>
  `{"type":"task-${event}","id":"${name} `;

/** All processes of a sandbox: those with its home, or its folder in their arguments. */
export async function leftovers({ folder, home }: Sandbox): Promise<string[]> {
  const all = await outputOf({ folder: root, env: process.env }, 'ps', ['-axww', '-o', 'args=']);
  const inFolder = all.split('\n').filter((line) => line.includes(`${folder}/.state`));
  const atHome = processesWith(`HOME=${home}`).map(async (pid) => {
    const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    return words.replaceAll('\0', ' ').trim();
  });
  const lines = [...inFolder, ...(await Promise.all(atHome))];
  return [...new Set(lines.filter((line) => line !== ''))];
}

/** Calls `use` with a local port that `kubectl port-forward` leads to a port of a Service, as a person would. */
export async function forwarded<Result>(
  sandbox: Sandbox,
  environment: string,
  [namespace, service, port]: readonly [namespace: string, service: string, port: number],
  use: (port: number) => Promise<Result>,
): Promise<Result> {
  const state = (name: string): string => sandbox.path('.state', environment, name);
  const words = ['--kubeconfig', state('kubeconfig'), '-n', namespace, 'port-forward', `svc/${service}`];
  // This kubectl must not leave files in the home, which is checked at the end.
  const env = { ...sandbox.env, KUBECACHEDIR: state('kube-cache') };
  const forward = spawn('kubectl', [...words, `:${port}`], { stdio: ['ignore', 'pipe', 'pipe'], env });
  // It may end by itself: when its pod ends or a connection through it breaks.
  const end = ended(forward);
  try {
    const line = once(createInterface({ input: forward.stdout }), 'line');
    const first = await Promise.race([line, end.then(({ stderr }) => assert.unreachable(stderr))]);
    return await use(Number(/:(\d+) ->/.exec(String(first))?.[1]));
  } finally {
    forward.kill();
    await end;
  }
}

/** Calls `use` with a session in the environment's database. */
export async function atDatabase<Result>(
  sandbox: Sandbox,
  environment: string,
  login: { readonly user: string; readonly password: string; readonly database: string },
  use: (query: Query) => Promise<Result>,
): Promise<Result> {
  // The backend's DB_SSLROOTCERT; the server accepts only TLS.
  const authority = await readText(sandbox.path('.state', environment, 'certificates/ca.crt'));
  const server = { host: '127.0.0.1', identity: { authority, name: 'postgresql.database.svc' } };
  return forwarded(sandbox, environment, ['database', 'postgresql', 5432], (port) =>
    withLogin({ ...login, ...server, port, timeoutMs: 60_000 }, use),
  );
}
