import { formatDuration } from '../format.ts';
import type { Style } from '../output/terminal.ts';
import { cutText } from '../output/text.ts';
import type { RecordedRun, RecordedTask } from './recorded-run.ts';

/** A task that ran, with times in milliseconds. */
export type Measured = {
  /** Its index in the recorded run. */
  readonly task: number;
  /** Indexes in the list of measured tasks. */
  readonly needs: readonly number[];
  /** How long dependents had to wait: until its end, or until a long-running one was ready. */
  readonly durationMs: number;
};

type Timed = Pick<RecordedTask, 'needs' | 'startedAt' | 'endedAt'>;

/** The tasks that ran, in dependency order. */
export function measured(tasks: readonly Timed[]): Measured[] {
  const ends = tasks.map((task) => task.endedAt);
  // If a dependent started before its end, it was ready by then.
  for (const { needs, startedAt } of tasks) {
    for (const needed of needs) {
      const end = ends[needed];
      if (startedAt !== undefined && end !== undefined) ends[needed] = Math.min(end, startedAt);
    }
  }
  const places = new Map<number, number>();
  for (const [place, task] of tasks.entries())
    if (task.startedAt !== undefined && ends[place] !== undefined) places.set(place, places.size);
  return [...places.keys()].map((place) => {
    const task = tasks[place];
    return {
      task: place,
      needs: (task?.needs ?? []).flatMap((needed) => places.get(needed) ?? []),
      durationMs: Math.max(0, (ends[place] ?? 0) - (task?.startedAt ?? 0)),
    };
  });
}

/**
 * The chain of needs that took longest; more workers cannot make the run shorter. Returns indexes in the recorded
 * run, first to last, and the total time.
 */
export function criticalPath(tasks: readonly Measured[]): {
  readonly tasks: readonly number[];
  readonly durationMs: number;
} {
  const ends: number[] = [];
  const before: (number | undefined)[] = [];
  let last: number | undefined;
  for (const [place, { needs, durationMs }] of tasks.entries()) {
    let longest: number | undefined;
    for (const needed of needs)
      if (longest === undefined || (ends[needed] ?? 0) > (ends[longest] ?? 0)) longest = needed;
    before[place] = longest;
    ends[place] = durationMs + (longest === undefined ? 0 : (ends[longest] ?? 0));
    if (last === undefined || (ends[place] ?? 0) > (ends[last] ?? 0)) last = place;
  }
  const durationMs = last === undefined ? 0 : (ends[last] ?? 0);
  const path: number[] = [];
  for (let place = last; place !== undefined; place = before[place]) path.push(tasks[place]?.task ?? 0);
  return { tasks: path.reverse(), durationMs };
}

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
