import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../lib/project.ts';
import { median } from '../report.ts';

export type StartUpRow = {
  readonly name: string;
  readonly peer: string;
  /** Milliseconds. */
  readonly minMs: number;
  readonly medianMs: number;
  /** Of the two minima: what else runs on the machine can only make a start longer. */
  readonly ratio: number;
  readonly limit: number;
};

type Start = {
  readonly name: string;
  readonly limit: number;
  readonly command: readonly [string, ...string[]];
};

const loader = ['node', '--import', 'tsx'] as const;
const peer = 'an empty file, node --import tsx';
const empty = [...loader, 'bench/runner/empty.ts'] as const;

/** Sources the script, and completes a word as readline would have it. */
const completeWord = 'source "$1"; COMP_WORDS=(./run inst); COMP_CWORD=1; _task_runner_complete ./run';

const starts = (script: string): readonly Start[] => [
  { name: '--version', limit: 1.15, command: [...loader, 'tasks.ts', '--version'] },
  { name: 'list', limit: 1.3, command: [...loader, 'tasks.ts', 'list'] },
  { name: 'completion bash', limit: 1.15, command: [...loader, 'tasks.ts', 'completion', 'bash'] },
  { name: './run --version', limit: 1.15, command: ['./run', '--version'] },
  { name: './run list', limit: 1.3, command: ['./run', 'list'] },
  { name: 'TAB in bash', limit: 1.15, command: ['bash', '-c', completeWord, 'bash', script] },
];

/**
 * Times of process starts next to that of an empty file under the same loader: `runs` of each, by turns, since the machine is
 * shared. What is remembered between runs is in a cache of its own, and warm.
 */
export async function startUpRows(runs = 20): Promise<StartUpRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'start-up-'));
  const env = { ...process.env, XDG_CACHE_HOME: folder };
  try {
    const script = join(folder, 'completion.bash');
    await writeFile(script, (await start([...loader, 'tasks.ts', 'completion', 'bash'], env)).output);
    const measured = starts(script).map((entry) => ({ ...entry, times: [] as number[] }));
    const peerTimes: number[] = [];
    for (const { command } of measured) await start(command, env);
    for (let run = 0; run < runs; run += 1) {
      peerTimes.push((await start(empty, env)).ms);
      for (const { command, times } of measured) times.push((await start(command, env)).ms);
    }
    const peerMinMs = Math.min(...peerTimes);
    return measured.map(({ name, limit, times }) => ({
      name: `start-up: ${name}`,
      peer,
      minMs: Math.round(Math.min(...times)),
      medianMs: Math.round(median(times)),
      ratio: Number((Math.min(...times) / peerMinMs).toFixed(3)),
      limit,
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end. Throws when it fails: a start that ends early would look fast. */
function start(
  [command, ...args]: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly ms: number; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve({ ms: performance.now() - began, output });
      else reject(new Error(`${[command, ...args].join(' ')} ended with ${code}`));
    });
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const row of await startUpRows()) process.stdout.write(`${JSON.stringify(row)}\n`);
}
