import { UsageError } from '../errors.ts';
import { formatSince } from '../format.ts';
import type { TaskNode } from '../node.ts';
import { isSameProcess } from '../process-identity.ts';
import { finalisersOf } from '../task.ts';
import type { JournaledRun } from './journal.ts';
import { neededBy, passing, settingsDigest } from './node-settings.ts';

/** What an earlier run has done, as far as it still holds. */
export class Resumption {
  readonly #run: JournaledRun;
  readonly #finalisers: ReadonlySet<unknown>;
  /** Nodes that this run need not do again. */
  readonly #settled = new Set<TaskNode>();

  /** Throws UsageError when there is nothing to resume. `task`: the label of the requested tasks. */
  static async of(
    run: JournaledRun | undefined,
    nodes: readonly TaskNode[],
    task: string,
  ): Promise<Resumption> {
    if (run === undefined) {
      throw new UsageError({
        what: `nothing to resume: no earlier run of \`${task}\` with these arguments and options is known`,
        advice: 'run it without `--resume`',
      });
    }
    const since = `the last run of \`${task}\`, since ${formatSince(new Date(run.header.since))},`;
    if (run.outcome === 'done') {
      throw new UsageError({
        what: `nothing to resume: ${since} succeeded`,
        advice: 'run it without `--resume` to do everything again',
      });
    }
    if (run.outcome === undefined && (await isSameProcess(run.header))) {
      throw new UsageError({
        what: `nothing to resume yet: ${since} is still at work`,
        why: `it is pid ${run.header.pid}`,
        advice: 'try again when it has ended',
      });
    }
    if (run.later !== undefined) {
      const { task: other, since: time } = run.later;
      throw new UsageError({
        what: `nothing to resume: \`${other}\` was run since, at ${formatSince(new Date(time))}`,
        why: 'it held the same lock, and may have undone what the last run had done',
        advice: 'run it without `--resume`',
      });
    }
    return new Resumption(run, nodes);
  }

  private constructor(run: JournaledRun, nodes: readonly TaskNode[]) {
    this.#run = run;
    const finalisers = nodes.flatMap(({ task, input }) => finalisersOf(task, input));
    this.#finalisers = new Set(finalisers.map(({ task }) => task));
  }

  #passes(node: TaskNode): boolean {
    return isPassing(node) || this.#run.done.get(node.id) === passing;
  }

  /** Notes that a node need not run, for whatever reason. Returns what the last run noted of it. */
  settle(node: TaskNode): string | undefined {
    this.#settled.add(node);
    return this.#run.done.get(node.id);
  }

  /** Why a node runs although the run is resumed; undefined when it was done and still is. */
  async reasonToRun(node: TaskNode): Promise<string | undefined> {
    if (isPassing(node)) return 'it does not outlast a run';
    if (this.#finalisers.has(node.task)) return 'it ends what others began';
    const digest = this.#run.done.get(node.id);
    if (digest === passing) return 'what it made went with the last run';
    if (digest === undefined) return 'the last run did not get it done';
    if (digest !== (await settingsDigest(node))) return 'it was declared differently in the last run';
    const again = neededBy(node).find((needed) => !this.#settled.has(needed) && !this.#passes(needed));
    return again && `${again.label}, which it needs, runs again`;
  }
}

/**
 * Whether what the task made is gone with the run: a long-running process, or something that is ended by a finaliser. It runs
 * again, and tasks that used it and are done need not.
 */
function isPassing({ task }: TaskNode): boolean {
  return task.ready !== undefined || task.finally !== undefined;
}
