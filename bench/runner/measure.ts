import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { root } from '../../lib/ground/project.ts';
import { npmEnvironment } from '../../lib/ground/variables.ts';

/** A command whose wall time is measured, from its start to the end of its process. */
export type Contender = {
  readonly name: string;
  readonly command: readonly [program: string, ...words: string[]];
  /** Default: the project's folder. */
  readonly cwd?: string;
  /** Beside our own environment. */
  readonly env?: NodeJS.ProcessEnv;
};

/** Runs one command and returns its milliseconds. */
export type Measure = (contender: Contender) => Promise<number>;

/**
 * Measures all contenders once per round, so that what slows the machine down for a while slows all of them. Who begins
 * a round changes from one to the next. Each runs once before that, unmeasured: files are in memory then, and caches of
 * loaders are filled. Returns the milliseconds of each round by the contender's name.
 */
export async function interleave(contenders: readonly Contender[], rounds: number, measure: Measure) {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await measure(contender);
  for (let round = 0; round < rounds; round += 1) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)])
      times.get(contender.name)?.push(await measure(contender));
  }
  return Object.fromEntries(times);
}

/** Measures real processes until `signal` is aborted; throws `TaskError` with the last output when one fails. */
export function measureProcess(signal: AbortSignal): Measure {
  return async (contender) => {
    signal.throwIfAborted();
    return await withFile((log) => run(contender, log, signal));
  };
}

/** Measures the processor's time of a process and of all that it started, as bash counts it. */
export function measureCpu(signal: AbortSignal): Measure {
  const measure = measureProcess(signal);
  const script = 'TIMEFORMAT="%3U %3S"; exec 3> "$0"; { time "$@" > /dev/null 2>&1; } 2>&3';
  return (contender) =>
    withFile(async (file) => {
      await measure({ ...contender, command: ['bash', '-c', script, file, ...contender.command] });
      const [user, system] = readFileSync(file, 'utf8').trim().split(' ');
      return (Number(user) + Number(system)) * 1000;
    });
}

async function withFile(use: (file: string) => Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    return await use(join(folder, 'output'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Environment of measured commands: without the variables of npm, and without those that change how programs print. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { CI: _c, FORCE_COLOR: _f, NODE_OPTIONS: _n, ...own } = npmEnvironment(process.env);
  return { ...own, NO_COLOR: '1', LC_ALL: 'C.UTF-8' };
}

function run(contender: Contender, log: string, signal: AbortSignal): Promise<number> {
  const { name, command, cwd, env } = contender;
  const [program, ...words] = command;
  // A file, not a pipe: reading a pipe would take processor time from what is measured.
  const output = openSync(log, 'w');
  return new Promise<number>((resolve, reject) => {
    const start = performance.now();
    const child = spawn(program, words, {
      cwd: cwd ?? root,
      env: { ...cleanEnvironment(), ...env },
      // Its own process group, so that everything it leaves behind can be ended.
      detached: true,
      stdio: ['ignore', output, output],
    });
    const stop = (): void => killGroup(child);
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => {
      reject(new TaskError({ what: `${name}: ${program} could not be started`, why: error.message }));
    });
    child.once('exit', (exitCode, killedBy) => {
      const ms = performance.now() - start;
      signal.removeEventListener('abort', stop);
      killGroup(child);
      if (exitCode === 0) return resolve(ms);
      const said = readFileSync(log, 'utf8').trim();
      const what = `${name}: \`${command.join(' ')}\` ended with ${exitCode ?? killedBy}`;
      reject(new TaskError({ what, why: said.split('\n').slice(-5).join('\n') || undefined }));
    });
  }).finally(() => closeSync(output));
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group has no process left.
  }
}
