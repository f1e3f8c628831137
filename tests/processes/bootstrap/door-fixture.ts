import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root as project } from '../../../lib/ground/project.ts';

const loader = import.meta.resolve('tsx');

type StartOptions = {
  readonly cwd?: string;
  readonly imports?: readonly string[];
  readonly path?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where the clone is by now. */
  readonly clone?: string;
};

type Door = ReturnType<typeof watch>;

/** The stand-in for the tasks prints its input; `wait` runs until a signal arrives. */
const all = `
export async function run(argv) {
  const { TASKS_PACKAGES_INSTALLED: mark = null } = process.env;
  console.log(JSON.stringify({ argv, cwd: process.cwd(), execArgv: process.execArgv, mark }));
  if (argv[0] !== 'wait') return Number(argv[0]);
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 1000);
    const stop = (code) => () => { clearInterval(timer); resolve(code); };
    process.on('SIGINT', stop(130)).on('SIGTERM', stop(143));
    process.stderr.write('waiting\\n');
  });
}
`;

/**
 * A clone of this project as far as the door goes: no node_modules, a stand-in for the tasks, a lockfile of one
 * package.
 */
export async function inClone(body: (clone: ReturnType<typeof cloneIn>) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'door-'));
  const running: ChildProcess[] = [];
  try {
    await body(cloneIn(base, running));
  } finally {
    for (const child of running.filter(({ exitCode }) => exitCode === null)) child.kill('SIGKILL');
    rmSync(base, { recursive: true, force: true });
  }
}

function cloneIn(base: string, running: ChildProcess[]) {
  const [bin, folder, log] = [join(base, 'bin'), join(base, 'a clone'), join(base, 'calls')];
  mkdirSync(bin);
  for (const path of [
    ...['tasks.ts', 'environments/variables.json', 'lib/start/bootstrap.ts', 'lib/ground/variables.ts'],
    'lib/runner',
  ])
    cpSync(join(project, path), join(folder, path), { recursive: true });
  mkdirSync(join(folder, 'tasks'));
  writeFileSync(join(folder, 'tasks/all.ts'), all);
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}\n');
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lockfile('4.23.15')));
  const head = `#!/bin/sh\nLOG='${log}' TSX='${join(project, 'node_modules', 'tsx')}'\necho "$*" >> "$LOG"\n`;
  return {
    folder,
    bin,
    /** Puts a shell script named `npm` on PATH. */
    npm: (text: string) => writeFileSync(join(bin, 'npm'), `${head}${text}\n`, { mode: 0o755 }),
    /** Lines that `npm` appended to `$LOG`. */
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    start: (
      argv: readonly string[],
      {
        cwd = base,
        imports = [],
        path = `${bin}:/usr/bin:/bin`,
        env = {},
        clone = folder,
      }: StartOptions = {},
    ) => {
      const before = [loader, ...imports].flatMap((url) => ['--import', url]);
      const child = spawn(process.execPath, [...before, join(clone, 'tasks.ts'), ...argv], {
        cwd,
        env: { ...process.env, PATH: path, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running.push(child);
      return watch(child);
    },
  };
}

/** What a fake npm does to install: it links the real tsx. */
export const installs = `
echo "npm speaks on stdout"
mkdir -p node_modules && ln -sfn "$TSX" node_modules/tsx && cp package-lock.json node_modules/.package-lock.json`;

export function lockfile(version: string): unknown {
  return {
    packages: {
      '': { name: 'clone' },
      'node_modules/tsx': { version, integrity: 'sha512-tsx' },
      'node_modules/@esbuild/far-away': { version: '1.0.0', optional: true },
    },
  };
}

/** Resolves when the text was written to stderr. */
export async function says(door: Door, text: string): Promise<void> {
  while (!door.output.stderr.includes(text)) {
    if (door.exitCode !== null) throw new Error(`ended without saying ${text}: ${door.output.stderr}`);
    await once(door, 'said');
  }
}

function watch(child: ChildProcess) {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      child.emit('said');
    });
  child.once('close', () => child.emit('said'));
  const end = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  return Object.assign(child, { output, end });
}
