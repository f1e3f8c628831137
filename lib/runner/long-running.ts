import { Attempt } from './attempt.ts';
import { type ErrorText, TaskError, toFailure } from './errors.ts';
import { interrupted, withRetries } from './execute.ts';
import { exitCodes } from './exit-codes.ts';
import { formatDuration } from './format.ts';
import type { LongRunningNode, TaskNode } from './node.ts';
import type { Gate, NodeResult, Run } from './run.ts';
import { startLimit } from './suspend.ts';

export type LongRunningProcess = {
  /** Resolves when it is ready; never when it is not. */
  readonly ready: Promise<void>;
  /** How it ended: `done` when it was ready and was ended by `stop`. */
  readonly result: Promise<NodeResult>;
  /** Ends it (SIGTERM to its group, after 5 s SIGKILL), also before it is ready. */
  readonly stop: () => void;
};

const defaultTimeoutMs = 60_000;

/**
 * Starts a long-running process, with the retries of its task until it is ready. Nothing of it is left when `result`
 * resolves, which never rejects.
 */
export function startLongRunning(
  node: TaskNode,
  longRunning: LongRunningNode,
  run: Run,
  gate: Gate,
): LongRunningProcess {
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
    const failed = (text: ErrorText): NodeResult => {
      const failure = toFailure(new TaskError(text));
      return { status: 'failed', failure, lastLines };
    };
    try {
      const outcome = await becomeReady(node, longRunning, attempt, stopped);
      if (outcome.type === 'ready') {
        isReady = true;
        if (longRunning.outlivesSignals) {
          gate.release?.();
          attempt.detach();
          run.children.spare(node.id);
        }
        run.emit({ type: 'task-ready', id: node.id, durationMs: Date.now() - startedAt });
        tellReady();
        const end = await Promise.race([outcome.body, stopped]);
        const isOurs = longRunning.outlivesSignals || !gate.signal.aborted;
        // Otherwise it was told already, in the way of the signal.
        if (end === 'stopped' && isOurs) attempt.interrupt(run.children.end(node.id));
        await outcome.body;
        if (end === 'stopped' && isOurs) return { status: 'done', report: attempt.report };
        if (gate.signal.aborted || run.stop.hurried) return interrupted(gate, lastLines);
        return failed(endedText(node, end === 'stopped' ? undefined : end.error, 'while it was needed', ''));
      }
      if (!gate.signal.aborted) attempt.interrupt(run.children.end(node.id));
      if (outcome.type !== 'taken') await outcome.body;
      if (gate.signal.aborted) return interrupted(gate, lastLines);
      switch (outcome.type) {
        case 'stopped':
          return { status: 'interrupted' };
        case 'taken':
          return failed({
            what: `${outcome.waitedFor} is in use already`,
            why: `nobody could tell when \`${node.label}\` answers there`,
            advice: 'end the process that does, or choose another place',
          });
        case 'ended':
          return failed(endedText(node, outcome.error, 'before it was ready', count));
        case 'late': {
          const last = lastLines.at(-1);
          return failed({
            what: `task \`${node.label}\` was not ready after ${formatDuration(outcome.timeoutMs)}${count}`,
            why: `waited for ${outcome.waitedFor}${last === undefined ? '; it said nothing' : `; it last said: ${last}`}`,
            exitCode: exitCodes.timeout,
          });
        }
        default: {
          const never: never = outcome;
          throw new Error(`unknown outcome ${String(never)}`);
        }
      }
    } catch (error) {
      return { status: 'failed', failure: toFailure(error), lastLines };
    } finally {
      await attempt.close();
      run.children.spareNoMore(node.id);
    }
  }
}

/** How the body of the task ended; never rejects. */
type Ended = { readonly type: 'ended'; readonly error: unknown };

type Outcome =
  | { readonly type: 'ready'; readonly body: Promise<Ended> }
  | { readonly type: 'stopped'; readonly body: Promise<Ended> }
  | (Ended & { readonly body: Promise<Ended> })
  | { readonly type: 'taken'; readonly waitedFor: string }
  | {
      readonly type: 'late';
      readonly body: Promise<Ended>;
      readonly waitedFor: string;
      readonly timeoutMs: number;
    };

/** Starts the process and waits until it is ready, has ended, or is to be ended. */
async function becomeReady(
  node: TaskNode,
  { readiness }: LongRunningNode,
  attempt: Attempt,
  stopped: Promise<'stopped'>,
): Promise<Outcome> {
  const { describeReadiness, isTaken, untilReady } = await import('./ready.ts');
  const waitedFor = describeReadiness(readiness);
  const timeoutMs = readiness.timeoutMs ?? node.task.timeoutMs ?? defaultTimeoutMs;
  const asking = new AbortController();
  let endLimit: (() => unknown) | undefined;
  try {
    if (await isTaken(readiness, asking.signal)) return { type: 'taken', waitedFor };
    // The run was stopped meanwhile: not even begun.
    const notBegun = Promise.resolve<Ended>({ type: 'ended', error: undefined });
    if (attempt.stopping) return { type: 'stopped', body: notBegun };
    if ((await Promise.race([stopped, notBegun])) === 'stopped') return { type: 'stopped', body: notBegun };
    const { $ } = attempt.context;
    const ready = untilReady(
      readiness,
      {
        run: async (command, signal) => {
          const words = Object.assign([command], { raw: [command] });
          const asked = $({ quiet: true, nothrow: true, timeoutMs })(words);
          const answer = await asked.catch(() => undefined);
          return !signal.aborted && answer?.exitCode === 0;
        },
        onLine: (listener) => {
          attempt.onLine = listener;
        },
      },
      asking.signal,
    );
    const body = Promise.resolve()
      .then(() => attempt.body())
      .then(
        (): Ended => ({ type: 'ended', error: undefined }),
        (error: unknown): Ended => ({ type: 'ended', error }),
      );
    const late = new Promise<'late'>((resolve) => {
      endLimit = startLimit(timeoutMs, () => resolve('late'));
    });
    const first = await Promise.race([body, ready.then(() => 'ready' as const), late, stopped]);
    if (first === 'late') return { type: 'late', body, waitedFor, timeoutMs };
    return typeof first === 'string' ? { type: first, body } : { ...first, body };
  } finally {
    endLimit?.();
    attempt.onLine = undefined;
    asking.abort();
  }
}

function endedText(node: TaskNode, error: unknown, when: string, count: string): ErrorText {
  const what = `task \`${node.label}\` ended by itself ${when}${count}`;
  if (error === undefined) return { what, why: 'it ended without an error' };
  const { what: reason, why, advice, exitCode } = toFailure(error);
  return { what, why: why === undefined ? reason : `${reason}: ${why}`, advice, exitCode };
}
