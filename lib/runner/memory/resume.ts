import { UsageError } from '../errors.ts';
import { formatSince } from '../format.ts';
import type { TaskNode } from '../node.ts';
import { isSameProcess } from '../process-identity.ts';
import type { JournaledRun } from './journal.ts';
import { neededBy, passing, settingsDigest } from './node-settings.ts';

/**
 * The results of an earlier run that are still valid. Throws UsageError if there is nothing to resume. `task`: label of
 * the requested tasks.
 */
export async function resume(run: JournaledRun | undefined, task: string) {
  const { done } = await checkResumable(run, task);
  const settled = new Set<TaskNode>();
  const passes = (node: TaskNode): boolean => isPassing(node) || done.get(node.id) === passing;
  return {
    /** Marks a node as not to be run. Returns what the last run recorded for it. */
    settle: (node: TaskNode): string | undefined => {
      settled.add(node);
      return done.get(node.id);
    },
    /** Why a node runs in a resumed run; undefined if it was done and still is. */
    reasonToRun: async (node: TaskNode): Promise<string | undefined> => {
      if (isPassing(node)) return 'it does not outlast a run';
      if (node.finalises.size > 0) return 'it ends what others began';
      const digest = done.get(node.id);
      if (digest === passing) return 'what it made went with the last run';
      if (digest === undefined) return 'the last run did not get it done';
      if (digest !== (await settingsDigest(node))) return 'it was declared differently in the last run';
      const again = neededBy(node).find((needed) => !settled.has(needed) && !passes(needed));
      return again && `${again.label}, which it needs, runs again`;
    },
  };
}

async function checkResumable(run: JournaledRun | undefined, task: string): Promise<JournaledRun> {
  const refuse = (what: string, advice: string, why?: string): UsageError =>
    new UsageError({ what: `nothing to resume${what}`, why, advice });
  const without = 'run it without `--resume`';
  if (run === undefined)
    throw refuse(`: no earlier run of \`${task}\` with these arguments and options is known`, without);
  const { header, outcome, later } = run;
  const last = `the last run of \`${task}\`, since ${formatSince(new Date(header.since))},`;
  if (outcome === 'done') throw refuse(`: ${last} succeeded`, `${without} to do everything again`);
  if (outcome === undefined && (await isSameProcess(header))) {
    const why = `it is pid ${header.pid}`;
    throw refuse(` yet: ${last} is still at work`, 'try again when it has ended', why);
  }
  if (later !== undefined) {
    const what = `: \`${later.task}\` was run since, at ${formatSince(new Date(later.since))}`;
    throw refuse(what, without, 'it held the same lock, and may have undone what the last run had done');
  }
  return run;
}

/**
 * True if the task's result ended with the run: a long-running process, or something that a finaliser removes. It
 * runs again, but finished tasks that used it need not.
 */
function isPassing({ task }: TaskNode): boolean {
  return task.ready !== undefined || task.finally !== undefined;
}
