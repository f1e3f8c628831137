import type { TaskContext } from '@k8s-deployment/runner';
import type { Row } from '../report.ts';
import { openBenchRun } from './bench-run.ts';
import { commandRows } from './commands.ts';
import { memoryRows } from './memory.ts';
import { noOpRows } from './no-op.ts';
import { startRows, tenTaskRows } from './starting.ts';
import { wallTimeRows } from './wall-time.ts';

/** The parts of the runner's benchmark, in order; each has the machine to itself. */
export const runnerParts = {
  start: startRows,
  'ten-tasks': tenTaskRows,
  'no-op': noOpRows,
  commands: commandRows,
  'wall-time': wallTimeRows,
  memory: memoryRows,
} as const;

/**
 * Rows of the runner's benchmark, all or one part. Throws `MissingToolError` for a peer that could not be installed, `TaskError` when
 * something fails.
 */
export async function runnerRows(context: TaskContext, part?: keyof typeof runnerParts): Promise<Row[]> {
  const run = await openBenchRun(context);
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(runnerParts))
    if (part === undefined || part === name) rows.push(...(await measure(run)));
  return rows;
}
