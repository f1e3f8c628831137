import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npmEnvironment, passedOn, settleVariables } from '../ground/variables.ts';

// Runs before `npm ci`, possibly on an old Node: it and its imports use nothing but Node.

/** The project's root, the base of all paths. */
export const projectFolder = dirname(fileURLToPath(new URL('..', import.meta.url)));

const oldestNode = 20;

/** Tells the run after an installation not to install again; contains the project's root. */
const installedMark = 'TASKS_PACKAGES_INSTALLED';

/**
 * Checks Node's version, installs missing packages of package-lock.json and changes to the project's root. Returns
 * `undefined` if this process can continue, otherwise an exit code: of an error already shown, or of the whole run,
 * repeated with the new packages.
 */
export async function bootstrap(argv: readonly string[]): Promise<number | undefined> {
  if (process.platform === 'win32') {
    return fail({
      what: 'the tasks do not run on Windows itself',
      why: 'they need bash, GnuPG and programs that exist for Linux and macOS only',
      advice: 'use WSL2: clone the project inside its Linux distribution and run the same command there',
    });
  }
  const major = Number.parseInt(process.versions.node, 10);
  if (major < oldestNode) {
    return fail(
      {
        what: `Node ${process.versions.node} is too old`,
        why: `this project needs Node ${oldestNode} or newer`,
        advice: 'install a newer Node, or put it first on PATH',
      },
      127,
    );
  }
  if (/[:\r\n]/.test(projectFolder)) {
    return fail({
      what: `the project cannot work in ${JSON.stringify(projectFolder)}`,
      why: 'programs take lists of paths apart at colons and line breaks',
      advice: 'move the clone to a path without them',
    });
  }
  // Whatever the user's umask, only the owner may write to new files. `run` does the same.
  process.umask((process.umask() | 0o022) & ~0o700);
  try {
    settleVariables(process.env, projectFolder);
  } catch (error) {
    return fail({
      what: 'environments/variables.json, which names the variables that programs are given, cannot be read',
      why: (error as Error).message,
      advice: 'correct the file, or restore it from git',
    });
  }
  process.chdir(projectFolder);
  const justInstalled = process.env[installedMark] === projectFolder;
  delete process.env[installedMark];
  if (justInstalled || packagesInstalled(projectFolder)) return undefined;
  // A shell's completion must not start an installation.
  if (argv[0] === '__complete') return 1;
  const failure = await install();
  return failure ?? runAgain(argv);
}

/**
 * True if node_modules matches package-lock.json, by npm's own record. Packages that npm may omit (other platforms,
 * development) may be missing.
 */
function packagesInstalled(folder: string): boolean {
  const lockfile = join(folder, 'package-lock.json');
  const record = join(folder, 'node_modules', '.package-lock.json');
  try {
    const wanted = readPackages(lockfile);
    const installed = readPackages(record);
    return Object.keys(wanted).every((path) => {
      const want = wanted[path];
      const have = installed[path];
      if (path === '' || want === undefined) return true;
      if (have === undefined) return Boolean(want.optional || want.devOptional || want.dev || want.peer);
      return (
        have.version === want.version && (want.integrity === undefined || have.integrity === want.integrity)
      );
    });
  } catch {
    return false;
  }
}

function readPackages(file: string): { [path: string]: { [field: string]: string | boolean } } {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

/** Runs `npm ci`, or waits for another run that does so in this clone. Returns an exit code on failure. */
async function install(): Promise<number | undefined> {
  const { acquireLock } = await import('../runner/lock.ts');
  // Outside the clone, because a folder for the lock could not be removed while others wait for it.
  const clone = createHash('sha256').update(projectFolder).digest('hex').slice(0, 12);
  const lockFile = join(tmpdir(), `k8s-deployment-${process.getuid?.()}-${clone}.lock`);
  const waiting = new AbortController();
  const stop = onSignals((signal) => waiting.abort(signal));
  try {
    const lock = await acquireLock(lockFile, {
      task: 'npm ci',
      wait: true,
      onWait: ({ pid, elsewhere = '…' }) =>
        say(`waiting for process ${pid}, which is installing the npm packages${elsewhere}`),
      signal: waiting.signal,
    });
    try {
      if (packagesInstalled(projectFolder)) return undefined;
      say('installing npm packages…');
      return await runNpm(waiting.signal);
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (waiting.signal.aborted) return 128 + constants.signals[waiting.signal.reason as NodeJS.Signals];
    return fail({
      what: 'the npm packages cannot be installed',
      why: (error as Error).message,
      advice: `is ${projectFolder} writable?`,
    });
  } finally {
    stop();
  }
}

async function runNpm(signal: AbortSignal): Promise<number | undefined> {
  // npm's output goes to stderr, as stdout is for results of tasks.
  const npm = spawn('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: projectFolder,
    env: npmEnvironment(passedOn(process.env)),
    stdio: ['ignore', 2, 2],
    detached: true,
  });
  signal.addEventListener('abort', () => {
    try {
      process.kill(-(npm.pid as number), signal.reason);
    } catch {
      // It has ended.
    }
  });
  const end = await ended(npm);
  if (signal.aborted) throw signal.reason;
  if (end instanceof Error) {
    return fail(
      {
        what: 'npm cannot be started, and the npm packages are not installed',
        why: end.message,
        advice:
          'put npm on PATH (it comes with Node), or install the packages of package-lock.json by other means',
      },
      127,
    );
  }
  if (end === 0 && packagesInstalled(projectFolder)) return undefined;
  if (end === 0) {
    return fail({
      what: '`npm ci` ended well, but the packages of package-lock.json are not there',
      why: 'a setting of npm may keep it from installing (dry-run, global, prefix)',
      advice: 'look at `npm config list`, then run the same command again',
    });
  }
  return fail({
    what: `\`npm ci\` failed with exit code ${end}; npm says above why`,
    why: 'the packages of package-lock.json are needed before any task can run',
    advice: 'check the connection to the npm registry and the free space, then run the same command again',
  });
}

/** Repeats the command line with the pinned tsx, as another may be running us. */
async function runAgain(argv: readonly string[]): Promise<number> {
  const run = spawn(process.execPath, ['--max-semi-space-size=2', '--import', 'tsx', 'tasks.ts', ...argv], {
    cwd: projectFolder,
    env: { ...process.env, [installedMark]: projectFolder },
    stdio: 'inherit',
  });
  const stop = onSignals((signal) => {
    // A terminal sends these to the whole group. Forwarding them would be a second signal, which means "at once".
    if (signal !== 'SIGTERM' && process.stdin.isTTY) return;
    run.kill(signal);
  });
  const end = await ended(run);
  stop();
  if (!(end instanceof Error)) return end;
  return fail({
    what: 'Node cannot be started again',
    why: end.message,
    advice: 'run the same command again',
  });
}

/** The exit code, 128 + n for a signal, or the error if it could not be started. */
function ended(child: ReturnType<typeof spawn>): Promise<number | Error> {
  return new Promise((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
    );
  });
}

function onSignals(act: (signal: NodeJS.Signals) => void): () => void {
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, act);
  return () => {
    for (const signal of signals) process.removeListener(signal, act);
  };
}

type Failure = { readonly what: string; readonly why: string; readonly advice: string };

function fail({ what, why, advice }: Failure, exitCode = 1): number {
  say(`error: ${what}\n  why: ${why}\n  do: ${advice}`);
  return exitCode;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
