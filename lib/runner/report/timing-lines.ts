import { formatDuration } from '../format.ts';
import type { Style } from '../output/terminal.ts';
import { cutText } from '../output/text.ts';
import { criticalPath, measured } from './critical-path.ts';
import type { RecordedRun } from './recorded-run.ts';

/** Shorter runs, and such of fewer tasks, need no explanation. */
const shortestRunMs = 1000;
const fewestTasks = 4;

/**
 * What a run's time went into, in one line: `critical path 6.1s of 6.9s: embedded-kubernetes 3.1s → install-tier core 3.0s`.
 * Empty for a run that was short or did not come to a good end: then only the failure counts.
 */
export function timingLines(run: RecordedRun, style: Style, columns: number): string[] {
  const ran = measured(run.tasks);
  if (ran.length < fewestTasks || run.durationMs < shortestRunMs || run.outcome !== 'done') return [];
  const path = criticalPath(ran);
  const durations = new Map(ran.map(({ task, durationMs }) => [task, durationMs]));
  const stepOf = (task: number): Step => ({
    text: `${run.tasks[task]?.label ?? ''} ${formatDuration(durations.get(task) ?? 0)}`,
    durationMs: durations.get(task) ?? 0,
  });
  const head = `critical path ${formatDuration(path.durationMs)} of ${formatDuration(run.durationMs)}: `;
  const line = head + fit(path.tasks.map(stepOf), columns - head.length, style);
  return [style.dim(cutText(line, columns, style.symbols.ellipsis))];
}

type Step = { readonly text: string; readonly durationMs: number };

/** Steps of less than a twentieth are only noise; after these, the shortest are left out until the rest has room. */
function fit(steps: readonly Step[], room: number, style: Style): string {
  const { arrow, ellipsis } = style.symbols;
  const whole = steps.reduce((sum, step) => sum + step.durationMs, 0);
  const shown = new Set(steps.filter(({ durationMs }) => durationMs * 20 >= whole));
  const shortestFirst = [...shown].sort((left, right) => left.durationMs - right.durationMs);
  const text = (): string => {
    const words: string[] = [];
    for (const step of steps) {
      if (shown.has(step)) words.push(step.text);
      else if (words.at(-1) !== ellipsis) words.push(ellipsis);
    }
    return words.join(` ${arrow} `);
  };
  for (const step of shortestFirst) {
    if (shown.size === 1 || text().length <= room) break;
    shown.delete(step);
  }
  return text();
}
