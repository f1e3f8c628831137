import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Row, timeRow } from '../report.ts';
import { type BenchRun, programs } from './bench-run.ts';
import type { Contender } from './measure.ts';

const rounds = 5;

/**
 * The time of a whole run against the least that any runner could take: the critical path, which here is as long as all work divided
 * by the jobs. Only a runner that puts the critical path first and leaves no gap comes near.
 */
export async function wallTimeRows(run: BenchRun): Promise<Row[]> {
  const cores = availableParallelism();
  return [
    await wallTime(run, { what: 'sleeping', command: 'sleep 3', ms: 3000, length: 8, jobs: 4, limit: 1.02 }),
    await wallTime(run, {
      what: 'on CPU',
      // CPU time, including the start of the command.
      command: `${process.execPath} ${join(programs, 'burn.mjs')} 1500`,
      ms: 1500,
      length: 6,
      jobs: cores,
      limit: 1.1,
    }),
  ];
}

type Load = {
  readonly what: string;
  readonly command: string;
  /** Of one task. */
  readonly ms: number;
  /** Tasks of the critical path. */
  readonly length: number;
  readonly jobs: number;
  readonly limit: number;
};

async function wallTime(run: BenchRun, load: Load): Promise<Row> {
  const { what, command, ms, length, jobs, limit } = load;
  const own: Contender = {
    name: `${length * jobs} tasks of ${ms / 1000} s ${what}, ${jobs} jobs`,
    command: run.graph('t0', '--jobs', String(jobs)),
    env: { BENCH_TASKS: String(length), BENCH_SLOTS: String(jobs), BENCH_COMMAND: command },
    // No warm-up round: it runs long enough.
    rounds,
  };
  const times = await run.compare(own.name, [own], rounds);
  const least = { name: 'critical path = work / jobs', times: [length * ms] };
  return timeRow(times(own.name), least, limit, 'median');
}
