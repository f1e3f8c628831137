import { formatPlace } from './call-site.ts';
import type { Emit, RunCounts, RunSummary, TaskFailure } from './events.ts';
import { exitCodes, failuresExitCode, type StopReason, stopExitCode } from './exit-codes.ts';
import type { TaskNode } from './node.ts';
import type { NodeResult } from './run.ts';
import type { RunOutcome } from './task.ts';

/** Numbers of a run's nodes by result so far. */
export type Tally = { -readonly [Name in keyof RunCounts]: number } & { readonly failures: TaskFailure[] };

export function emptyTally(): Tally {
  const tasks = { done: 0, changed: 0, unchanged: 0, interrupted: 0, skipped: 0, upToDate: 0, resumed: 0 };
  return { ...tasks, failures: [] };
}

/** Counts a node's result and emits it. */
export function settle(
  node: TaskNode,
  result: NodeResult,
  durationMs: number,
  tally: Tally,
  emit: Emit,
): void {
  switch (result.status) {
    case 'done':
      tally.done += 1;
      if (result.report !== undefined) tally[result.report] += 1;
      emit({ type: 'task-done', id: node.id, report: result.report, durationMs });
      return;
    case 'interrupted':
      tally.interrupted += 1;
      emit({ type: 'task-interrupted', id: node.id, durationMs });
      return;
    case 'failed': {
      const failure: TaskFailure = {
        id: node.id,
        label: node.label,
        failure: result.failure,
        chain: chainOf(node),
        lastLines: result.lastLines,
        place: formatPlace(node.task),
      };
      tally.failures.push(failure);
      emit({ type: 'task-failed', durationMs, ...failure });
      return;
    }
    default: {
      const never: never = result;
      throw new Error(`unknown result ${String(never)}`);
    }
  }
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
  const exitCode = stopped ?? failuresExitCode(failures.map(({ failure }) => failure));
  const dirty = !clean || reason?.type === 'crash';
  return {
    outcome: outcomeOf(reason, tally),
    exitCode: exitCode === exitCodes.done && dirty ? exitCodes.failed : exitCode,
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

/** From the requested task down to this node. */
function chainOf(node: TaskNode): string[] {
  const chain: string[] = [];
  for (let step: TaskNode | undefined = node; step !== undefined; step = step.neededBy)
    chain.unshift(step.label);
  return chain;
}
