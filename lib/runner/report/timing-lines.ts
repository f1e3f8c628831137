import { formatDuration } from '../format.ts';
import type { Style } from '../output/terminal.ts';
import { cutText } from '../output/text.ts';
import { criticalPath, measured } from './critical-path.ts';
import type { RecordedRun } from './recorded-run.ts';

/** Limits below which a run needs no explanation. */
const shortestRunMs = 1000;
const fewestTasks = 4;

/**
 * What a run's time was spent on, in one line: `critical path 6.1s of 6.9s: embedded-kubernetes 3.1s → install-tier
 * core 3.0s`. Empty for a short run and for a failed one.
 */
export function timingLines(run: RecordedRun, style: Style, columns: number): string[] {
  const ran = measured(run.tasks);
  if (ran.length < fewestTasks || run.durationMs < shortestRunMs || run.outcome !== 'done') return [];
  const path = criticalPath(ran);
  const durations = new Map(ran.map(({ task, durationMs }) => [task, durationMs]));
  const { arrow, ellipsis } = style.symbols;
  const words: string[] = [];
  for (const task of path.tasks) {
    const durationMs = durations.get(task) ?? 0;
    // Steps below a twentieth are noise.
    if (durationMs * 20 >= path.durationMs)
      words.push(`${run.tasks[task]?.label ?? ''} ${formatDuration(durationMs)}`);
    else if (words.at(-1) !== ellipsis) words.push(ellipsis);
  }
  const head = `critical path ${formatDuration(path.durationMs)} of ${formatDuration(run.durationMs)}: `;
  return [style.dim(cutText(head + words.join(` ${arrow} `), columns, ellipsis))];
}
