import { openAttempt } from './attempt.ts';
import { exitCodes, TaskError, toFailure } from './errors.ts';
import { formatDuration } from './format.ts';
import type { TaskNode } from './node.ts';
import { pause, timerMs } from './pause.ts';
import type { Gate, NodeResult, Run } from './run.ts';
import { startLimit } from './suspend.ts';

/**
 * Runs one task, with its retries and time limit; never rejects. No child of it is left when this returns. With `count`
 * only this attempt.
 */
export async function executeNode(
  node: TaskNode,
  run: Run,
  gate: Gate = run.stop,
  count?: string,
): Promise<NodeResult> {
  const { retries, timeoutMs } = node.task;
  if (retries !== undefined && count === undefined)
    return withRetries(node, run, gate, (count) => executeNode(node, run, gate, count));
  if (gate.signal.aborted) return interrupted(gate, []);
  const attempt = openAttempt(node, run, gate);
  let timedOut = false;
  const onTimeout = (): void => {
    timedOut = true;
    attempt.interrupt(run.children.end(node.id));
  };
  const endLimit = timeoutMs === undefined ? undefined : startLimit(timeoutMs, onTimeout);
  let error: unknown;
  try {
    await attempt.body();
  } catch (thrown) {
    error = thrown ?? new Error('a task threw nothing');
  } finally {
    if (endLimit?.()) timedOut = true;
    await attempt.close();
  }
  const { lastLines } = attempt;
  if (timedOut && timeoutMs !== undefined) {
    const what = `task \`${node.label}\` timed out after ${formatDuration(timeoutMs)}${count ?? ''}`;
    const failure = toFailure(new TaskError({ what, why: lastLines.at(-1), exitCode: exitCodes.timeout }));
    return { status: 'failed', failure, lastLines };
  }
  if (error === undefined) return { status: 'done', report: attempt.report() };
  if (gate.signal.aborted) return interrupted(gate, lastLines);
  return { status: 'failed', failure: toFailure(error), lastLines };
}

/** `count` is ` (attempt 2 of 3)`, or empty for a single attempt. */
export async function withRetries(
  node: TaskNode,
  run: Run,
  gate: Gate,
  execute: (count: string) => Promise<NodeResult>,
  mayRetry: () => boolean = () => true,
): Promise<NodeResult> {
  const attempts = 1 + (node.task.retries ?? 0);
  for (let attempt = 1; ; attempt += 1) {
    // No number of attempts (NaN) is one.
    const result = await execute(attempts > 1 ? ` (attempt ${attempt} of ${attempts})` : '');
    if (result.status !== 'failed' || !(attempt < attempts) || gate.signal.aborted || !mayRetry())
      return result;
    run.emit({ type: 'task-retried', id: node.id, attempt, attempts, failure: result.failure });
    await pause(retryDelay(node.task.retryDelayMs, attempt), gate.signal);
    if (gate.signal.aborted) return interrupted(gate, []);
  }
}

/** Milliseconds to wait after this attempt (from 1), doubled each time. */
export function retryDelay(firstMs = 1000, attempt = 1): number {
  return timerMs(firstMs * 2 ** (attempt - 1));
}

export function interrupted(gate: Gate, lastLines: readonly string[]): NodeResult {
  const failure = gate.failure?.();
  return failure === undefined
    ? { status: 'interrupted' }
    : { status: 'failed', failure: toFailure(failure), lastLines };
}
