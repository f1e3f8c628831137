import { Attempt } from './attempt.ts';
import type { BackPressure } from './back-pressure.ts';
import type { Children } from './children.ts';
import { type Failure, TaskError, toFailure } from './errors.ts';
import type { Emit } from './events.ts';
import { exitCodes } from './exit-codes.ts';
import { formatDuration } from './format.ts';
import type { TaskNode } from './graph.ts';
import type { LockHolder } from './lock.ts';
import { pause, timerMs } from './pause.ts';
import type { Redactor } from './redact.ts';
import type { CommandOptions } from './shell.ts';
import type { Stop } from './stop.ts';
import { startLimit } from './suspend.ts';
import type { Options, RunOutcome } from './task.ts';

export type Cleanup = {
  readonly node: TaskNode;
  readonly run: (outcome: RunOutcome) => void | Promise<void>;
};

/** What all tasks of a run share. */
export type Run = {
  readonly children: Children;
  readonly stop: Stop;
  readonly redactor: Redactor;
  readonly emit: Emit;
  readonly cleanups: Cleanup[];
  readonly verbose: boolean;
  /** Both streams of a command come as one, in the order in which it writes, unless somebody tells them apart. */
  readonly oneStream: boolean;
  /** What the commands of tasks without a `run` start with. */
  readonly shell: ((options: Options) => Promise<CommandOptions>) | undefined;
  /** The path of the lock that the run holds. */
  readonly lock: string | undefined;
  /** The run as the lock's holder; undefined also inside a run that holds it. */
  readonly holder: LockHolder | undefined;
  /** Keeps children from printing faster than can be written. */
  readonly pressure: BackPressure | undefined;
  /** The cleanups run: their commands are let through although the run was stopped. */
  cleaning: boolean;
};

export type NodeResult =
  | { readonly status: 'done'; readonly report: 'changed' | 'unchanged' | undefined }
  | { readonly status: 'failed'; readonly failure: Failure; readonly lastLines: readonly string[] }
  | { readonly status: 'interrupted' };

/** What interrupts a node. Of most it is the stop of the run. */
export type Gate = {
  readonly signal: AbortSignal;
  /** Resolves when the children that the interruption is for are gone. */
  readonly ended: () => Promise<void>;
  /** The interruption is a failure, and this one. */
  readonly failure?: () => TaskError | undefined;
  /** From now on it interrupts nothing; may be called twice. */
  readonly release?: () => void;
};

/** Runs one task, with its retries and time limit; never rejects. No child of it is left when this returns. */
export function executeNode(node: TaskNode, run: Run, gate: Gate = run.stop): Promise<NodeResult> {
  if (node.task.retries === undefined) return executeAttempt(node, run, gate, '');
  return withRetries(node, run, gate, (count) => executeAttempt(node, run, gate, count));
}

/** `count` is ` (attempt 2 of 3)`, or nothing when there is only one. */
export async function withRetries(
  node: TaskNode,
  run: Run,
  gate: Gate,
  execute: (count: string) => Promise<NodeResult>,
  mayRetry: () => boolean = () => true,
): Promise<NodeResult> {
  const attempts = 1 + (node.task.retries ?? 0);
  for (let attempt = 1; ; attempt += 1) {
    const result = await execute(attempts > 1 ? ` (attempt ${attempt} of ${attempts})` : '');
    if (result.status !== 'failed' || attempt === attempts || gate.signal.aborted || !mayRetry())
      return result;
    run.emit({ type: 'task-retried', id: node.id, attempt, attempts, failure: result.failure });
    await pause(retryDelay(node.task.retryDelayMs, attempt), gate.signal);
    if (gate.signal.aborted) return interrupted(gate, []);
  }
}

/** Milliseconds to wait after this attempt (from 1): the first wait, doubled each time. */
export function retryDelay(firstMs = 1000, attempt = 1): number {
  return timerMs(firstMs * 2 ** (attempt - 1));
}

async function executeAttempt(node: TaskNode, run: Run, gate: Gate, count: string): Promise<NodeResult> {
  const { timeoutMs } = node.task;
  if (gate.signal.aborted) return interrupted(gate, []);
  const attempt = new Attempt(node, run, gate);
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
    const what = `task \`${node.label}\` timed out after ${formatDuration(timeoutMs)}${count}`;
    const failure = toFailure(new TaskError({ what, why: lastLines.at(-1), exitCode: exitCodes.timeout }));
    return { status: 'failed', failure, lastLines };
  }
  if (error === undefined) return { status: 'done', report: attempt.report };
  if (gate.signal.aborted) return interrupted(gate, lastLines);
  return { status: 'failed', failure: toFailure(error), lastLines };
}

export function interrupted(gate: Gate, lastLines: readonly string[]): NodeResult {
  const failure = gate.failure?.();
  return failure === undefined
    ? { status: 'interrupted' }
    : { status: 'failed', failure: toFailure(failure), lastLines };
}
