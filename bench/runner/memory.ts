import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../lib/ground/project.ts';
import { memoryRow, type Row } from '../report.ts';
import { type BenchRun, programs } from './bench-run.ts';

const rounds = 3;

/** MiB of the runner's own process at its peak, for all of these; an empty file under the same loader has 70 to 90. */
const limitMiB = 256;

/** Memory does not grow with what commands print, and with the tasks only by a few KiB for each. */
export async function memoryRows(run: BenchRun): Promise<Row[]> {
  const print = `${process.execPath} ${join(programs, 'print-gigabyte.mjs')}`;
  return [
    await memory(run, 'memory: 10,000 tasks that do nothing', { BENCH_TASKS: '10000' }),
    await memory(run, 'memory: a command that prints 1 GiB in lines', {
      BENCH_TASKS: '1',
      BENCH_COMMAND: print,
    }),
    await memory(run, 'memory: a command that prints 1 GiB in one line', {
      BENCH_TASKS: '1',
      BENCH_COMMAND: `${print} one-line`,
    }),
  ];
}

async function memory(run: BenchRun, name: string, env: NodeJS.ProcessEnv): Promise<Row> {
  const file = join(run.folder, 'peak-memory');
  const [node, ...words] = run.graph('t0', '--output', 'grouped');
  const preload = join(root, 'bench', 'peak-memory.mjs');
  const peaks: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await run.measure({
      name,
      command: [node, '--import', preload, ...words],
      env: { ...env, BENCH_PEAK_MEMORY: file, BENCH_PEAK_MEMORY_OF: '/graph.mjs' },
      output: 'none',
    });
    peaks.push(Number(await readFile(file, 'utf8')) / 1024);
  }
  return memoryRow(name, peaks, limitMiB);
}
