import { overRow, type Row, timeRow } from '../report.ts';
import { type BenchRun, bareNode } from './bench-run.ts';
import type { Contender } from './measure.ts';

/** Maximum milliseconds per task of a large graph. */
const eachMs = 0.1;
/** Growth above a few per cent would not be linear; the first thousand also include fixed costs. */
const linear = 1.1;

/** Overhead of the runner: graphs of tasks that do nothing. */
export async function noOpRows(run: BenchRun): Promise<Row[]> {
  const graph = (size: number): Contender => ({
    name: `${size.toLocaleString('en')} tasks that do nothing`,
    command: run.graph('t0'),
    env: { BENCH_TASKS: String(size) },
  });
  const [thousand, tenThousand] = [graph(1000), graph(10_000)];
  const times = await run.compare('tasks that do nothing', [bareNode, thousand, tenThousand], 10);
  const empty = times(bareNode.name);
  const emptyMs = Math.min(...empty.times);
  // Without the start-up time, which does not grow.
  const each = (name: string, size: number): { name: string; times: number[] } => ({
    name,
    times: times(`${size.toLocaleString('en')} tasks that do nothing`).times.map(
      (ms) => (ms - emptyMs) / size,
    ),
  });
  return [
    // Mostly the time to load the runner.
    timeRow(times(thousand.name), empty, null),
    overRow(times(tenThousand.name), empty, 10_000 * eachMs, 10_000),
    timeRow(each('one task of 10,000', 10_000), each('one task of 1,000', 1000), linear),
  ];
}
