import { formatPlace } from './call-site.ts';
import { exitCodes, type StopReason, stopExitCode } from './errors.ts';
import type { RunSummary, Tally, TaskFailure } from './events.ts';
import { chainOf, type TaskNode } from './node.ts';
import type { NodeResult, Run } from './run.ts';
import type { RunOutcome } from './task.ts';

export function emptyTally(): Tally {
  const tasks = { done: 0, changed: 0, unchanged: 0, interrupted: 0, skipped: 0, upToDate: 0, resumed: 0 };
  return { ...tasks, failures: [] };
}

/** Counts the result of a node that was started then, and emits it. Returns whether it is done. */
export function settle(node: TaskNode, result: NodeResult, startedAt: number, { tally, emit }: Run): boolean {
  const { id, label } = node;
  const durationMs = Date.now() - startedAt;
  if (result.status === 'done') {
    tally.done += 1;
    if (result.report !== undefined) tally[result.report] += 1;
    emit({ type: 'task-done', id, report: result.report, durationMs });
  } else if (result.status === 'interrupted') {
    tally.interrupted += 1;
    emit({ type: 'task-interrupted', id, durationMs });
  } else {
    const { failure, lastLines } = result;
    const place = formatPlace(node.task);
    const failed: TaskFailure = { id, label, failure, chain: chainOf(node), lastLines, place };
    tally.failures.push(failed);
    emit({ type: 'task-failed', durationMs, ...failed });
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
