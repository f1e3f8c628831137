import { formatPlace } from './call-site.ts';
import { exitCodes, formatFailure, type StopReason, stopExitCode } from './errors.ts';
import type { Emit, RunEventBody, RunSummary, TaskFailure } from './events.ts';
import { count, formatDuration } from './format.ts';
import { chainOf, type TaskNode } from './node.ts';
import type { Style } from './output/terminal.ts';
import type { NodeResult } from './run.ts';
import type { RunOutcome } from './task.ts';

/** Numbers of a run's tasks by result so far. */
type Tally = ReturnType<typeof emptyTally>;

export function emptyTally() {
  const tasks = { done: 0, changed: 0, unchanged: 0, interrupted: 0, skipped: 0, upToDate: 0, resumed: 0 };
  return { ...tasks, failures: [] as TaskFailure[] };
}

const countedAs = {
  'task-done': 'done',
  'task-interrupted': 'interrupted',
  'task-skipped': 'skipped',
  'task-up-to-date': 'upToDate',
  'task-resumed': 'resumed',
} as const;

/** Counts the task that ends with this event, if it is such a one. */
export function tallyUp(tally: Tally, event: RunEventBody): void {
  if (event.type in countedAs) tally[countedAs[event.type as keyof typeof countedAs]] += 1;
  if (event.type === 'task-done' && event.report !== undefined) tally[event.report] += 1;
  if (event.type !== 'task-failed') return;
  const { type: _, durationMs: __, ...failure } = event;
  tally.failures.push(failure);
}

/** Emits the result of a node that was started then. Returns whether it is done. */
export function settle(node: TaskNode, result: NodeResult, startedAt: number, emit: Emit): boolean {
  const { id, label } = node;
  const durationMs = Date.now() - startedAt;
  if (result.status === 'done') emit({ type: 'task-done', id, report: result.report, durationMs });
  else if (result.status === 'interrupted') emit({ type: 'task-interrupted', id, durationMs });
  else {
    const { failure, lastLines } = result;
    const place = formatPlace(node.task);
    emit({ type: 'task-failed', durationMs, id, label, failure, chain: chainOf(node), lastLines, place });
  }
  return result.status === 'done';
}

/** The run's summary; `clean` is true if all cleanups succeeded. */
export function summarize(
  reason: StopReason | undefined,
  tally: Tally,
  clean: boolean,
  durationMs: number,
): RunSummary {
  const { failures, ...counts } = tally;
  const stopped = reason === undefined ? undefined : stopExitCode(reason);
  const dirty = !clean || reason?.type === 'crash' || failures.length > 1;
  // A single failure has its own code.
  const own = failures.length > 1 ? undefined : failures[0]?.failure.exitCode;
  return {
    outcome: outcomeOf(reason, tally),
    exitCode: stopped ?? own ?? (dirty ? exitCodes.failed : exitCodes.done),
    durationMs,
    ...counts,
    failed: failures.length,
    failures,
  };
}

export function outcomeOf(reason: StopReason | undefined, tally: Tally): RunOutcome {
  if (reason?.type === 'signal' || reason?.type === 'hang-up' || reason?.type === 'change')
    return 'interrupted';
  return reason !== undefined || tally.failures.length > 0 ? 'failed' : 'done';
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
  const isDone = summary.outcome === 'done';
  const total = summary.done + summary.upToDate + summary.resumed;
  if (isDone || (summary.outcome === 'interrupted' && total === view.nodes)) {
    if (isDone && view.nodes === 1 && summary.changed + summary.unchanged === 0) return lines;
    const parts = counted([...spared, [summary.changed, 'changed']]);
    if (summary.changed === 0 && summary.unchanged > 0) parts.push('nothing changed');
    if (!isDone) parts.push('before the interruption');
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
