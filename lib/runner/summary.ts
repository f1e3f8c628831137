import { exitCodes, formatFailure, type StopReason, stopExitCode } from './errors.ts';
import type { RunEventBody, RunSummary, TaskFailure } from './events.ts';
import { count, formatDuration } from './format.ts';
import type { Style } from './output/terminal.ts';
import type { RunOutcome } from './task.ts';

const countedAs = {
  'task-done': 'done',
  'task-interrupted': 'interrupted',
  'task-skipped': 'skipped',
  'task-up-to-date': 'upToDate',
  'task-resumed': 'resumed',
} as const;

/** Counts the results of a run's tasks by its events. */
export function openTally(stop: { readonly reason: StopReason | undefined }) {
  const counts = { done: 0, changed: 0, unchanged: 0, interrupted: 0, skipped: 0, upToDate: 0, resumed: 0 };
  const failures: TaskFailure[] = [];
  return { note, outcome, summarize };

  function note(event: RunEventBody): void {
    if (event.type in countedAs) counts[countedAs[event.type as keyof typeof countedAs]] += 1;
    if (event.type === 'task-done' && event.report !== undefined) counts[event.report] += 1;
    if (event.type !== 'task-failed') return;
    const { type: _, durationMs: __, ...failure } = event;
    failures.push(failure);
  }

  function outcome(): RunOutcome {
    const { type } = stop.reason ?? {};
    if (type === 'signal' || type === 'hang-up' || type === 'change') return 'interrupted';
    return type !== undefined || failures.length > 0 ? 'failed' : 'done';
  }

  /** The run's summary; `clean` is true if all cleanups succeeded. */
  function summarize(clean: boolean, durationMs: number): RunSummary {
    const { reason } = stop;
    const stopped = reason && stopExitCode(reason);
    const dirty = !clean || reason?.type === 'crash' || failures.length > 1;
    // A single failure has its own code.
    const own = failures.length > 1 ? undefined : failures[0]?.failure.exitCode;
    const exitCode = stopped ?? own ?? (dirty ? exitCodes.failed : exitCodes.done);
    return { outcome: outcome(), exitCode, durationMs, ...counts, failed: failures.length, failures };
  }
}

const shownLines = 10;
/** Lines for an error with a known reason, including the counts below it. */
const errorLines = 12;

type SummaryView = {
  readonly nodes: number;
  readonly style: Style;
  readonly verbose: boolean;
  /** What the time was spent on. */
  readonly timing?: readonly string[];
  /** Files written about the run. */
  readonly reports?: readonly string[] | undefined;
};

/**
 * The last lines of a run: counts, time, and the first failure again. Empty for a single task that succeeded and
 * reported nothing.
 */
export function summaryLines(summary: RunSummary, view: SummaryView): string[] {
  const { style } = view;
  const time = formatDuration(summary.durationMs);
  const lines = summary.failures.slice(0, 1).flatMap((failure) => failureLines(failure, view));
  if (summary.failures.length > 1) {
    const others = summary.failures.slice(1).map((failure) => failure.label);
    lines.push(style.red(`also failed: ${others.join(', ')}`));
  }
  lines.push(...(view.timing ?? []));
  if (view.reports?.length) lines.push(style.dim(`written: ${view.reports.join(', ')}`));
  const spared = [[summary.upToDate, 'up to date'] as const, [summary.resumed, 'resumed'] as const];
  const total = summary.done + summary.upToDate + summary.resumed;
  if (summary.outcome === 'done') {
    if (view.nodes === 1 && summary.changed + summary.unchanged === 0) return lines;
    const parts = counted([...spared, [summary.changed, 'changed']]);
    if (summary.changed === 0 && summary.unchanged > 0) parts.push('nothing changed');
    return [...lines, style.green([`done: ${count(total, 'task')} in ${time}`, ...parts].join(', '))];
  }
  if (view.nodes === 1 && summary.outcome === 'failed') return lines;
  const parts = counted([
    [summary.failed, 'failed'],
    [summary.interrupted, 'stopped'],
    [summary.done, 'done'],
    ...spared,
    [summary.skipped, 'not started'],
  ]);
  if (summary.outcome === 'interrupted' && total === view.nodes) parts.push('nothing left to do');
  return [...lines, style.red(`${summary.outcome} after ${time}: ${parts.join(', ')}`)];
}

/** `3 up to date`, `1 resumed`, for numbers that are not 0. */
function counted(parts: readonly (readonly [number, string])[]): string[] {
  return parts.filter(([number]) => number > 0).map((part) => part.join(' '));
}

function failureLines(failed: TaskFailure, view: SummaryView): string[] {
  const { style } = view;
  const lines = formatFailure(failed.failure, view.verbose);
  lines[0] = style.red(lines[0] ?? '');
  // A user's mistake needs no log, and a single task's log was just shown.
  if (view.nodes === 1 || failed.failure.usage) return lines;
  lines.push(`  task: ${failed.chain.join(` ${style.symbols.arrow} `)} (${failed.place})`);
  // Minus a heading, another failure and the counts.
  const room = failed.failure.why === undefined ? shownLines : Math.max(0, errorLines - lines.length - 3);
  const last = room === 0 ? [] : failed.lastLines.slice(-Math.min(room, shownLines));
  if (last.length > 0)
    lines.push('  last lines:', ...last.map((line) => style.dim(`  ${style.symbols.bar} ${line}`)));
  return lines;
}
