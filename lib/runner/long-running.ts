import { stripVTControlCharacters } from 'node:util';
import { openAttempt } from './attempt.ts';
import { type ErrorText, exitCodes, TaskError, toFailure } from './errors.ts';
import { interrupted, withRetries } from './execute.ts';
import { formatDuration } from './format.ts';
import type { LongRunningNode, TaskNode } from './node.ts';
import { deferred } from './pause.ts';
import type { NodeResult, Run } from './run.ts';
import type { Launched } from './schedule.ts';
import { startLimit } from './suspend.ts';
import { settle } from './tally.ts';

const defaultTimeoutMs = 60_000;

/**
 * Starts a long-running process, with its task's retries until it is ready. `ended` never rejects, and resolves once
 * its result is settled and no process is left.
 */
export function startLongRunning(node: TaskNode, longRunning: LongRunningNode, run: Run): Launched {
  const gate = run.stop;
  const launchedAt = Date.now();
  const stopped = deferred<'stopped'>();
  const ready = deferred<true>();
  let isReady = false;
  const ended = withRetries(node, run, gate, execute, () => !isReady).then((result) =>
    settle(node, result, launchedAt, run),
  );
  return {
    ready: Promise.race([ready.promise, ended.then(() => false)]),
    ended,
    stop: () => stopped.resolve('stopped'),
  };

  async function execute(count: string): Promise<NodeResult> {
    if (gate.signal.aborted) return interrupted(gate, []);
    const startedAt = Date.now();
    const { log, timeoutMs = node.task.timeoutMs ?? defaultTimeoutMs } = longRunning.readiness;
    const start = deferred<'ready' | 'late'>();
    const attempt = openAttempt(node, run, gate, (line) => {
      // Servers often colour their output.
      if (!isReady && stripVTControlCharacters(line).includes(log)) start.resolve('ready');
    });
    const { lastLines } = attempt;
    // How the task's body ended; never rejects.
    const body = Promise.resolve()
      .then(() => attempt.body())
      .then(
        () => ({ error: undefined }),
        (error: unknown) => ({ error }),
      );
    const endLimit = startLimit(timeoutMs, () => start.resolve('late'));
    try {
      const first = await Promise.race([body, start.promise, stopped.promise]);
      endLimit();
      if (first === 'ready') {
        isReady = true;
        run.emit({ type: 'task-ready', id: node.id, durationMs: Date.now() - startedAt });
        ready.resolve(true);
      }
      const end = first === 'ready' ? await Promise.race([body, stopped.promise]) : first;
      // Otherwise the signal has already been reported.
      const isOurs = typeof end === 'string' && !gate.signal.aborted;
      if (isOurs) attempt.interrupt(run.children.end(node.id));
      await body;
      if (isOurs && isReady) return { status: 'done', report: attempt.report() };
      if (gate.signal.aborted) return interrupted(gate, lastLines);
      if (end === 'stopped') return { status: 'interrupted' };
      const failed = (text: ErrorText): NodeResult => {
        const failure = toFailure(new TaskError(text));
        return { status: 'failed', failure, lastLines };
      };
      if (end !== 'late') return failed(endedText(node, end.error, isReady ? undefined : count));
      const last = lastLines.at(-1);
      return failed({
        what: `task \`${node.label}\` was not ready after ${formatDuration(timeoutMs)}${count}`,
        why: `waited for a line with \`${log}\`${last === undefined ? '; it said nothing' : `; it last said: ${last}`}`,
        exitCode: exitCodes.timeout,
      });
    } catch (error) {
      return { status: 'failed', failure: toFailure(error), lastLines };
    } finally {
      await attempt.close();
    }
  }
}

/** `count`: of the attempts to become ready. */
function endedText(node: TaskNode, error: unknown, count: string | undefined): ErrorText {
  const when = count === undefined ? 'while it was needed' : `before it was ready${count}`;
  const what = `task \`${node.label}\` ended by itself ${when}`;
  if (error === undefined) return { what, why: 'it ended without an error' };
  const { what: reason, why, advice, exitCode } = toFailure(error);
  return { what, why: why === undefined ? reason : `${reason}: ${why}`, advice, exitCode };
}
