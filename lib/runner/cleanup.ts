import { TaskError, toFailure } from './errors.ts';
import type { Cleanup, Run } from './execute.ts';
import { formatDuration } from './format.ts';
import { pause } from './pause.ts';
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
