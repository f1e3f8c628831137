import { TaskError, toFailure } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { formatDuration } from './format.ts';
import { nestingLevel } from './nesting.ts';
import type { TaskNode } from './node.ts';
import { pause } from './pause.ts';
import type { Cleanup, Gate, Run } from './run.ts';
import { startLimit } from './suspend.ts';
import type { RunOutcome } from './task.ts';

/** For one cleanup; after a second signal less. */
const limitMs = 30_000;
const hurriedLimitMs = 5000;

/**
 * Runs what tasks have registered with `onRunEnd`, last first, each for a bounded time. A failing cleanup does not keep
 * the others from running. Returns whether all went well.
 */
export async function runCleanups(run: Run, outcome: RunOutcome): Promise<boolean> {
  let clean = true;
  run.cleaning = true;
  for (let cleanup = run.cleanups.pop(); cleanup !== undefined; cleanup = run.cleanups.pop()) {
    try {
      await runBounded(cleanup, run, outcome);
    } catch (error) {
      clean = false;
      run.emit({ type: 'cleanup-failed', id: cleanup.node.id, failure: toFailure(error) });
    }
    await run.children.end(cleanup.node.id);
  }
  return clean;
}

async function runBounded(cleanup: Cleanup, run: Run, outcome: RunOutcome): Promise<void> {
  const limit = run.stop.hurried ? hurriedLimitMs : limitMs;
  const settled = new AbortController();
  const work = Promise.resolve()
    .then(() => cleanup.run(outcome))
    .finally(() => settled.abort());
  const late = pause(limit, settled.signal).then(async () => {
    if (settled.signal.aborted) return work;
    throw new TaskError({ what: `did not end within ${formatDuration(limit)}` });
  });
  await Promise.race([work, late]);
}

/** After a signal, how long a finaliser without a `timeoutMs` of its own may take; after a second one less. */
const finaliserMs = 120_000;
const hurriedFinaliserMs = 5000;

/**
 * What stops a finaliser, or what only finalisers need: not the signal that stops the run, which its children do not get
 * either, but a limit of time that begins with it, and a further signal. To be released when it has ended.
 */
export function finaliserGate(node: TaskNode, run: Run): Required<Gate> {
  const { stop, children } = run;
  const abort = new AbortController();
  let endLimit: (() => unknown) | undefined;
  let ending: Promise<void> | undefined;
  let failure: TaskError | undefined;

  const end = (): void => {
    ending = children.end(node.id);
    abort.abort();
  };
  const limit = (): void => {
    // A failure that stops the run leaves nobody waiting: finalisers take the time that they need.
    if (stop.reason?.type !== 'signal' && stop.reason?.type !== 'hang-up' && !stop.hurried) return;
    const usual = stop.hurried ? hurriedFinaliserMs : finaliserMs;
    // A run inside a task of another run must be through before the outer one loses patience.
    const milliseconds = (stop.hurried ? undefined : node.task.timeoutMs) ?? usual / 2 ** nestingLevel();
    endLimit = startLimit(milliseconds, () => {
      const what = `task \`${node.label}\` did not end within ${formatDuration(milliseconds)} after the signal`;
      failure = new TaskError({ what, exitCode: exitCodes.timeout });
      end();
    });
  };

  children.spare(node.id);
  if (stop.signal.aborted) limit();
  else stop.signal.addEventListener('abort', limit);
  if (!stop.hurried) stop.hurrySignal.addEventListener('abort', end);
  return {
    signal: abort.signal,
    ended: async () => ending,
    failure: () => failure,
    release: () => {
      endLimit?.();
      stop.signal.removeEventListener('abort', limit);
      stop.hurrySignal.removeEventListener('abort', end);
      children.spareNoMore(node.id);
    },
  };
}
