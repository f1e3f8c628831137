import { UsageError } from '../errors.ts';
import { formatSince } from '../format.ts';
import type { TaskNode } from '../node.ts';
import { isSameProcess } from '../process-identity.ts';
import { finalisersOf } from '../task.ts';
import type { JournaledRun } from './journal.ts';
import { neededBy, passing, settingsDigest } from './node-settings.ts';

/** The results of an earlier run that are still valid. */
export class Resumption {
  readonly #run: JournaledRun;
  readonly #finalisers: ReadonlySet<unknown>;
  /** Nodes that this run can skip. */
  readonly #settled = new Set<TaskNode>();

  /** Throws UsageError if there is nothing to resume. `task`: label of the requested tasks. */
  static async of(
    run: JournaledRun | undefined,
    nodes: readonly TaskNode[],
    task: string,
  ): Promise<Resumption> {
    const refuse = (what: string, advice: string, why?: string): UsageError =>
      new UsageError({ what: `nothing to resume${what}`, why, advice });
    const without = 'run it without `--resume`';
    if (run === undefined)
      throw refuse(`: no earlier run of \`${task}\` with these arguments and options is known`, without);
    const { header, outcome, later } = run;
    const last = `the last run of \`${task}\`, since ${formatSince(new Date(header.since))},`;
    if (outcome === 'done') throw refuse(`: ${last} succeeded`, `${without} to do everything again`);
    if (outcome === undefined && (await isSameProcess(header)))
      throw refuse(
        ` yet: ${last} is still at work`,
        'try again when it has ended',
        `it is pid ${header.pid}`,
      );
    if (later !== undefined) {
      throw refuse(
        `: \`${later.task}\` was run since, at ${formatSince(new Date(later.since))}`,
        without,
        'it held the same lock, and may have undone what the last run had done',
      );
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

  /** Marks a node as not to be run. Returns what the last run recorded for it. */
  settle(node: TaskNode): string | undefined {
    this.#settled.add(node);
    return this.#run.done.get(node.id);
  }

  /** Why a node runs in a resumed run; undefined if it was done and still is. */
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
 * True if the task's result ended with the run: a long-running process, or something that a finaliser removes. It
 * runs again, but finished tasks that used it need not.
 */
function isPassing({ task }: TaskNode): boolean {
  return task.ready !== undefined || task.finally !== undefined;
}
