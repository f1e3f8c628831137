import { formatDuration } from '../format.ts';
import type { Style } from '../output/terminal.ts';
import { cutText } from '../output/text.ts';
import type { RecordedRun, RecordedTask } from './recorder.ts';

type Timed = Pick<RecordedTask, 'needs' | 'startedAt' | 'endedAt'>;

/**
 * Milliseconds for which dependents had to wait for each task: until its end, or until a long-running one was ready.
 * Undefined for one that did not run.
 */
export function durationsOf(tasks: readonly Timed[]): (number | undefined)[] {
  const ends = tasks.map((task) => task.endedAt);
  // If a dependent started before its end, it was ready by then.
  for (const { needs, startedAt } of tasks) {
    for (const needed of needs) {
      const end = ends[needed];
      if (startedAt !== undefined && end !== undefined) ends[needed] = Math.min(end, startedAt);
    }
  }
  return tasks.map(({ startedAt }, place) => {
    const end = ends[place];
    return startedAt === undefined || end === undefined ? undefined : Math.max(0, end - startedAt);
  });
}

/**
 * The chain of needs that took longest; more workers cannot make the run shorter. Returns indexes in the recorded
 * run, first to last, and the total time. `tasks` are in dependency order.
 */
export function criticalPath(
  tasks: readonly Timed[],
  durations = durationsOf(tasks),
): { readonly tasks: readonly number[]; readonly durationMs: number } {
  /** When each task that ran ends at the earliest, and the need that this is up to. */
  const ends: (number | undefined)[] = [];
  const before: (number | undefined)[] = [];
  const endOf = (place: number | undefined): number => (place === undefined ? 0 : (ends[place] ?? 0));
  const latest = (places: readonly number[]): number | undefined =>
    places.filter((place) => ends[place] !== undefined).sort((left, right) => endOf(right) - endOf(left))[0];
  for (const [place, { needs }] of tasks.entries()) {
    const durationMs = durations[place];
    if (durationMs === undefined) continue;
    before[place] = latest(needs);
    ends[place] = durationMs + endOf(before[place]);
  }
  const last = latest([...tasks.keys()]);
  const path: number[] = [];
  for (let place = last; place !== undefined; place = before[place]) path.push(place);
  return { tasks: path.reverse(), durationMs: endOf(last) };
}

/** Limits below which a run needs no explanation. */
const shortestRunMs = 1000;
const fewestTasks = 4;

/**
 * What a run's time was spent on, in one line: `critical path 6.1s of 6.9s: embedded-kubernetes 3.1s → install-tier
 * core 3.0s`. Empty for a short run and for a failed one.
 */
export function timingLines(run: RecordedRun, style: Style, columns: number): string[] {
  const durations = durationsOf(run.tasks);
  const ran = durations.filter((durationMs) => durationMs !== undefined);
  if (ran.length < fewestTasks || run.durationMs < shortestRunMs || run.outcome !== 'done') return [];
  const path = criticalPath(run.tasks, durations);
  const { arrow, ellipsis } = style.symbols;
  const words: string[] = [];
  for (const task of path.tasks) {
    const durationMs = durations[task] ?? 0;
    // Steps below a twentieth are noise.
    if (durationMs * 20 >= path.durationMs)
      words.push(`${run.tasks[task]?.label ?? ''} ${formatDuration(durationMs)}`);
    else if (words.at(-1) !== ellipsis) words.push(ellipsis);
  }
  const head = `critical path ${formatDuration(path.durationMs)} of ${formatDuration(run.durationMs)}: `;
  return [style.dim(cutText(head + words.join(` ${arrow} `), columns, ellipsis))];
}
