import { stripVTControlCharacters } from 'node:util';
import { Attempt } from './attempt.ts';
import { type ErrorText, TaskError, toFailure } from './errors.ts';
import { interrupted, withRetries } from './execute.ts';
import { exitCodes } from './exit-codes.ts';
import { formatDuration } from './format.ts';
import type { LongRunningNode, TaskNode } from './node.ts';
import type { NodeResult, Run } from './run.ts';
import { startLimit } from './suspend.ts';
import type { Readiness } from './task.ts';

export type LongRunningProcess = {
  /** Resolves when it is ready, otherwise never. */
  readonly ready: Promise<void>;
  /** How it ended: `done` if it was ready and `stop` ended it. */
  readonly result: Promise<NodeResult>;
  /** Ends it, even before it is ready (SIGTERM to its group, after 5 s SIGKILL). */
  readonly stop: () => void;
};

const defaultTimeoutMs = 60_000;

/**
 * Starts a long-running process, with its task's retries until it is ready. `result` never rejects, and resolves once
 * no process is left.
 */
export function startLongRunning(node: TaskNode, longRunning: LongRunningNode, run: Run): LongRunningProcess {
  const gate = run.stop;
  let tellReady: () => void = () => {};
  let stop: () => void = () => {};
  let isReady = false;
  const ready = new Promise<void>((resolve) => {
    tellReady = resolve;
  });
  const stopped = new Promise<'stopped'>((resolve) => {
    stop = () => resolve('stopped');
  });
  const result = withRetries(node, run, gate, execute, () => !isReady);
  return { ready, result, stop };

  async function execute(count: string): Promise<NodeResult> {
    if (gate.signal.aborted) return interrupted(gate, []);
    const startedAt = Date.now();
    const attempt = new Attempt(node, run, gate);
    const { lastLines } = attempt;
    const timeoutMs = longRunning.readiness.timeoutMs ?? node.task.timeoutMs ?? defaultTimeoutMs;
    const failed = (text: ErrorText): NodeResult => {
      const failure = toFailure(new TaskError(text));
      return { status: 'failed', failure, lastLines };
    };
    try {
      const { first, body } = await becomeReady(longRunning.readiness, timeoutMs, attempt, stopped);
      if (first === 'ready') {
        isReady = true;
        run.emit({ type: 'task-ready', id: node.id, durationMs: Date.now() - startedAt });
        tellReady();
        const end = await Promise.race([body, stopped]);
        // Otherwise the signal has already been reported.
        const isOurs = end === 'stopped' && !gate.signal.aborted;
        if (isOurs) attempt.interrupt(run.children.end(node.id));
        await body;
        if (isOurs) return { status: 'done', report: attempt.report };
        if (gate.signal.aborted) return interrupted(gate, lastLines);
        return failed(endedText(node, end === 'stopped' ? undefined : end.error, 'while it was needed', ''));
      }
      if (!gate.signal.aborted) attempt.interrupt(run.children.end(node.id));
      await body;
      if (gate.signal.aborted) return interrupted(gate, lastLines);
      if (first === 'stopped') return { status: 'interrupted' };
      if (first !== 'late') return failed(endedText(node, first.error, 'before it was ready', count));
      const last = lastLines.at(-1);
      return failed({
        what: `task \`${node.label}\` was not ready after ${formatDuration(timeoutMs)}${count}`,
        why: `waited for a line with \`${longRunning.readiness.log}\`${last === undefined ? '; it said nothing' : `; it last said: ${last}`}`,
        exitCode: exitCodes.timeout,
      });
    } catch (error) {
      return { status: 'failed', failure: toFailure(error), lastLines };
    } finally {
      await attempt.close();
    }
  }
}

/** How the task's body ended; never rejects. */
type Ended = { readonly error: unknown };

type Outcome = { readonly first: 'ready' | 'stopped' | 'late' | Ended; readonly body: Promise<Ended> };

/** Starts the process and waits until it is ready, ends or has to stop. */
async function becomeReady(
  { log }: Readiness,
  timeoutMs: number,
  attempt: Attempt,
  stopped: Promise<'stopped'>,
): Promise<Outcome> {
  let endLimit: (() => unknown) | undefined;
  const ready = new Promise<'ready'>((resolve) => {
    attempt.onLine = (line) => {
      // Servers often colour their output.
      const text = stripVTControlCharacters(line);
      if (text.includes(log)) resolve('ready');
    };
  });
  const body = Promise.resolve()
    .then(() => attempt.body())
    .then(
      (): Ended => ({ error: undefined }),
      (error: unknown): Ended => ({ error }),
    );
  const late = new Promise<'late'>((resolve) => {
    endLimit = startLimit(timeoutMs, () => resolve('late'));
  });
  const first = await Promise.race([body, ready, late, stopped]);
  endLimit?.();
  attempt.onLine = undefined;
  return { first, body };
}

function endedText(node: TaskNode, error: unknown, when: string, count: string): ErrorText {
  const what = `task \`${node.label}\` ended by itself ${when}${count}`;
  if (error === undefined) return { what, why: 'it ended without an error' };
  const { what: reason, why, advice, exitCode } = toFailure(error);
  return { what, why: why === undefined ? reason : `${reason}: ${why}`, advice, exitCode };
}
