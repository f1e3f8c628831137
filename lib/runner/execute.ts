import { stripVTControlCharacters } from 'node:util';
import { openAttempt } from './attempt.ts';
import { exitCodes, TaskError, toFailure } from './errors.ts';
import { formatDuration } from './format.ts';
import type { TaskNode } from './node.ts';
import { pause, timerMs } from './pause.ts';
import type { Gate, NodeResult, Run, Service } from './run.ts';
import { lastSaid } from './shell.ts';
import { startLimit } from './suspend.ts';

/** Milliseconds for a long-running process to become ready. */
const readyMs = 60_000;

/**
 * Runs one task, with its retries and time limit; never rejects. No child of it is left when this returns. The retries
 * and time limit of a long-running process, which has a `service`, are for becoming ready.
 */
export async function executeNode(
  node: TaskNode,
  run: Run,
  gate: Gate = run.stop,
  service?: Service,
): Promise<NodeResult> {
  const { id, label, task } = node;
  const readiness = node.longRunning?.readiness;
  const limitMs = readiness?.timeoutMs ?? task.timeoutMs ?? (readiness && readyMs);
  const attempts = 1 + (task.retries ?? 0);
  let isReady = false;
  for (let attempt = 1; ; attempt += 1) {
    const result = await execute(attempts > 1 ? ` (attempt ${attempt} of ${attempts})` : '');
    // No number of attempts (NaN) is one.
    if (result.status !== 'failed' || isReady || !(attempt < attempts) || gate.signal.aborted) return result;
    run.emit({ type: 'task-retried', id, attempt, attempts, failure: result.failure });
    await pause(retryDelay(task.retryDelayMs, attempt), gate.signal);
  }

  async function execute(count: string): Promise<NodeResult> {
    if (gate.signal.aborted) return interrupted(gate, []);
    if (service?.unneeded.aborted) return { status: 'interrupted' };
    const startedAt = Date.now();
    let end: 'late' | 'unneeded' | 'by itself' | undefined;
    let error: unknown;
    const attempt = openAttempt(node, run, gate, readiness && onLine);
    const endLimit = limitMs === undefined ? undefined : startLimit(limitMs, () => endAs('late'));
    const onUnneeded = (): void => endAs('unneeded');
    service?.unneeded.addEventListener('abort', onUnneeded);
    try {
      await attempt.body();
    } catch (thrown) {
      error = thrown ?? new Error('a task threw nothing');
    } finally {
      const isLate = endLimit?.() && !isReady;
      end ??= isLate ? 'late' : 'by itself';
      service?.unneeded.removeEventListener('abort', onUnneeded);
      await attempt.close();
    }
    const { lastLines } = attempt;
    const isTimedOut = end === 'late' && readiness === undefined;
    const isDone =
      readiness === undefined ? error === undefined && !isTimedOut : isReady && end === 'unneeded';
    if (isDone) return { status: 'done', report: attempt.report() };
    if (gate.signal.aborted && !isTimedOut) return interrupted(gate, lastLines);
    if (end === 'unneeded') return { status: 'interrupted' };
    if (end === 'late') error = lateError(lastLines.at(-1));
    else if (readiness !== undefined) error = endedError();
    return { status: 'failed', failure: toFailure(error), lastLines };

    function endAs(reason: 'late' | 'unneeded'): void {
      // A stopped run has told a long-running process already.
      if (end !== undefined || (readiness !== undefined && gate.signal.aborted)) return;
      end = reason;
      attempt.interrupt(run.children.end(id));
    }

    function onLine(line: string): void {
      // Servers often colour their output.
      if (isReady || end !== undefined || !stripVTControlCharacters(line).includes(readiness?.log ?? ''))
        return;
      isReady = true;
      endLimit?.();
      run.emit({ type: 'task-ready', id, durationMs: Date.now() - startedAt });
      service?.onReady();
    }

    function lateError(last: string | undefined): TaskError {
      const [how, waited] = readiness
        ? ['was not ready', `waited for a line with \`${readiness.log}\`; `]
        : ['did not end', ''];
      const what = `task \`${label}\` ${how} within ${formatDuration(limitMs ?? 0)}${count}`;
      return new TaskError({ what, why: waited + lastSaid(last), exitCode: exitCodes.timeout });
    }

    /** A long-running process may not end, even without an error. */
    function endedError(): TaskError {
      const when = isReady ? 'while it was needed' : `before it was ready${count}`;
      const what = `task \`${label}\` ended by itself ${when}`;
      if (error === undefined) return new TaskError({ what, why: 'it ended without an error' });
      const { what: reason, why, advice, exitCode } = toFailure(error);
      return new TaskError({ what, why: why === undefined ? reason : `${reason}: ${why}`, advice, exitCode });
    }
  }
}

/** Milliseconds to wait after this attempt (from 1), doubled each time. */
export function retryDelay(firstMs = 1000, attempt = 1): number {
  return timerMs(firstMs * 2 ** (attempt - 1));
}

function interrupted({ signal: { reason } }: Gate, lastLines: readonly string[]): NodeResult {
  return reason instanceof TaskError
    ? { status: 'failed', failure: toFailure(reason), lastLines }
    : { status: 'interrupted' };
}
