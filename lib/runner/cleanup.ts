import { exitCodes, TaskError, toFailure } from './errors.ts';
import { formatDuration } from './format.ts';
import { nestingLevel } from './nesting.ts';
import type { TaskNode } from './node.ts';
import { deferred } from './pause.ts';
import type { Cleanup, Gate, Run } from './run.ts';
import { startLimit } from './suspend.ts';
import type { RunOutcome } from './task.ts';

/** Milliseconds for a cleanup; less after a second signal. */
const limitMs = 30_000;
const hurriedLimitMs = 5000;

/**
 * Runs the cleanups of `onRunEnd`, last registered first, each for a limited time, even if others fail. Returns
 * whether all succeeded.
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
  const limit = run.stop.hurrySignal.aborted ? hurriedLimitMs : limitMs;
  const late = deferred<'late'>();
  const endLimit = startLimit(limit, () => late.resolve('late'));
  const work = Promise.resolve()
    .then(() => cleanup.run(outcome))
    .finally(endLimit);
  if ((await Promise.race([work, late.promise])) === 'late')
    throw new TaskError({ what: `did not end within ${formatDuration(limit)}` });
}

/** Milliseconds for a finaliser without `timeoutMs` after a signal; less after a second one. */
const finaliserMs = 120_000;
const hurriedFinaliserMs = 5000;

/**
 * Interrupts a finaliser or its need: not on the run's stop, from which its children are spared too, but after a time
 * limit that begins with it, or on a further signal. Release it at the end.
 */
export function finaliserGate(node: TaskNode, run: Run): Gate & { readonly release: () => void } {
  const { stop, children } = run;
  const abort = new AbortController();
  const interrupts: Gate['interrupts'] = new Set();
  let endLimit: (() => unknown) | undefined;

  const end = (failure?: TaskError): void => {
    const gone = children.end(node.id);
    abort.abort(failure);
    for (const interrupt of [...interrupts]) interrupt(gone);
  };
  const hurry = (): void => end();
  const limit = (): void => {
    // After a failure nobody is waiting, so finalisers have no limit.
    if (stop.reason?.type !== 'signal' && stop.reason?.type !== 'hang-up' && !stop.hurrySignal.aborted)
      return;
    const usual = stop.hurrySignal.aborted ? hurriedFinaliserMs : finaliserMs;
    // A nested run must finish before the outer one loses patience.
    const milliseconds =
      (stop.hurrySignal.aborted ? undefined : node.task.timeoutMs) ?? usual / 2 ** nestingLevel();
    endLimit = startLimit(milliseconds, () => {
      const what = `task \`${node.label}\` did not end within ${formatDuration(milliseconds)} after the signal`;
      end(new TaskError({ what, exitCode: exitCodes.timeout }));
    });
  };

  children.spared.add(node.id);
  if (stop.signal.aborted) limit();
  else stop.signal.addEventListener('abort', limit);
  if (!stop.hurrySignal.aborted) stop.hurrySignal.addEventListener('abort', hurry);
  return {
    signal: abort.signal,
    interrupts,
    release: () => {
      endLimit?.();
      stop.signal.removeEventListener('abort', limit);
      stop.hurrySignal.removeEventListener('abort', hurry);
      children.spared.delete(node.id);
    },
  };
}
