import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const loader = import.meta.resolve('tsx');

export type Clone = {
  readonly folder: string;
  readonly bin: string;
  /** Puts a shell script named `npm` on PATH. */
  readonly npm: (body: string) => void;
  /** Lines that `npm` appended to `$LOG`. */
  readonly calls: () => string[];
  readonly start: (argv: readonly string[], options?: StartOptions) => Door;
};

export type StartOptions = {
  readonly cwd?: string;
  readonly imports?: readonly string[];
  readonly path?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where the clone is by now. */
  readonly clone?: string;
};

export type Door = ChildProcess & {
  readonly output: { stdout: string; stderr: string };
  readonly end: Promise<{ code: number | null; stdout: string; stderr: string }>;
};

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

/** A clone of this project as far as the door goes: no node_modules, a stand-in for the tasks, a lockfile of one package. */
export async function inClone(body: (clone: Clone) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'door-'));
  const bin = join(folder, 'bin');
  const clone = join(folder, 'a clone');
  mkdirSync(bin);
  for (const path of [
    'tasks.ts',
    'environments/variables.json',
    'lib/start/bootstrap.ts',
    'lib/ground/variables.ts',
    'lib/runner',
  ]) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    cpSync(join(project, path), join(clone, path), { recursive: true });
  }
  mkdirSync(join(clone, 'tasks'));
  writeFileSync(join(clone, 'tasks/all.ts'), all);
  writeFileSync(join(clone, 'package.json'), '{"type": "module"}\n');
  writeFileSync(join(clone, 'package-lock.json'), JSON.stringify(lockfile('4.23.15')));
  const log = join(folder, 'calls');
  const running: ChildProcess[] = [];
  try {
    await body({
      folder: clone,
      bin,
      npm: (text) => {
        writeFileSync(
          join(bin, 'npm'),
          `#!/bin/sh\nLOG='${log}' TSX='${join(project, 'node_modules', 'tsx')}'\necho "$*" >> "$LOG"\n${text}\n`,
        );
        chmodSync(join(bin, 'npm'), 0o755);
      },
      calls: () => readLines(log),
      start: (
        argv,
        { cwd = folder, imports = [], path = `${bin}:/usr/bin:/bin`, env = {}, clone: place = clone } = {},
      ) => {
        const before = [loader, ...imports].flatMap((url) => ['--import', url]);
        const child = spawn(process.execPath, [...before, join(place, 'tasks.ts'), ...argv], {
          cwd,
          env: { ...process.env, PATH: path, ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        running.push(child);
        return watch(child);
      },
    });
  } finally {
    for (const child of running.filter(({ exitCode }) => exitCode === null)) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
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

function watch(child: ChildProcess): Door {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      child.emit('said');
    });
  }
  child.once('close', () => child.emit('said'));
  const end = once(child, 'close').then(([code]) => ({ code, ...output }));
  return Object.assign(child, { output, end });
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}
