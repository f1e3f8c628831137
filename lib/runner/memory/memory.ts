import { toFailure } from '../errors.ts';
import type { RunnerSettings } from '../global-options.ts';
import type { TaskNode } from '../node.ts';
import type { NodeResult, Run } from '../run.ts';
import { settle, type Tally } from '../tally.ts';
import { isEmpty, type RunOutcome } from '../task.ts';
import { isTracked, settingsDigest } from './describe-node.ts';
import { carriedOver, type Effect, effectOfFingerprint, joinedEffect } from './fingerprint.ts';
import { begunAgain, type Journal, passing } from './journal.ts';
import type { Resumption } from './resume.ts';
import type { Look, Tracker } from './tracker.ts';

export type MemoryParts = {
  readonly run: Run;
  readonly tally: Tally;
  readonly settings: RunnerSettings;
  /** Undefined when no run has ever tracked a task. */
  readonly tracker: Tracker | undefined;
  /** A task of this run wants to know what its needs did. */
  readonly tracks: boolean;
  readonly journal: Journal | undefined;
  readonly resumption: Resumption | undefined;
};

/** Stands around each node of a run: `before` may find that nothing is to be done, `after` remembers what was. */
export class Memory {
  readonly #parts: MemoryParts;
  readonly #looks = new Map<TaskNode, Look>();
  readonly #effects = new Map<TaskNode, Effect>();

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  /**
   * True when the node is as good as done, false when it failed before it started; both are counted and told. Undefined when
   * it has to run. `late`: the stop of the run is not for this one. Never rejects. No promise where nothing has to be looked
   * at: making some for each node costs as much as a short task.
   */
  before(node: TaskNode, late: boolean): boolean | undefined | Promise<boolean | undefined> {
    const { tracker, resumption, settings } = this.#parts;
    const looks = tracker !== undefined || resumption !== undefined || settings.explain;
    return looks ? this.#before(node, late) : undefined;
  }

  async #before(node: TaskNode, late: boolean): Promise<boolean | undefined> {
    const { run, tally } = this.#parts;
    const stopped = (): boolean => run.stop.signal.aborted && !late;
    try {
      return await this.#decide(node, stopped);
    } catch (error) {
      run.emit({ type: 'task-started', id: node.id });
      const result: NodeResult = stopped()
        ? { status: 'interrupted' }
        : { status: 'failed', failure: toFailure(error), lastLines: [] };
      settle(node, result, 0, tally, run.emit);
      return false;
    }
  }

  /** Remembers how a node ended that has run. Never rejects; a promise only where that takes time. */
  after(node: TaskNode, result: NodeResult): void | Promise<void> {
    const { tracker, tracks } = this.#parts;
    if (tracker !== undefined || tracks) return this.#after(node, result);
    if (result.status === 'done') return this.#noteDone(node);
  }

  async #after(node: TaskNode, result: NodeResult): Promise<void> {
    const { tracker, tracks } = this.#parts;
    const look = this.#looks.get(node);
    const effectOf = (needed: TaskNode): Effect => this.#effects.get(needed);
    if (result.status !== 'done') {
      if (look !== undefined) await tracker?.failed(node);
      return;
    }
    try {
      if (look !== undefined) {
        this.#effects.set(node, await tracker?.succeeded(node, look, result.report, effectOf));
      } else if (result.report !== undefined) {
        this.#effects.set(node, await tracker?.reported(node, result.report));
      } else if (tracks && (await isEmpty(node.task, node.input))) {
        this.#effects.set(node, joinedEffect(node, effectOf));
      }
    } catch {
      // What cannot be told about a task leaves its effect unknown: the tasks that need it run.
    }
    await this.#noteDone(node);
  }

  async end(outcome: RunOutcome): Promise<void> {
    await this.#parts.journal?.end(outcome);
  }

  #noteDone(node: TaskNode): void | Promise<void> {
    const { journal, run } = this.#parts;
    if (journal === undefined) return;
    const passes = run.cleanups.some((cleanup) => cleanup.node === node);
    const digest = passes ? passing : settingsDigest(node);
    if (typeof digest === 'object') return digest.then((told) => journal.note(node.id, told));
    journal.note(node.id, digest);
  }

  async #decide(node: TaskNode, stopped: () => boolean): Promise<boolean | undefined> {
    const { run, resumption, tracker, tracks } = this.#parts;
    if (stopped()) throw new Error('stopped');
    if (tracker !== undefined && isTracked(node)) return this.#check(node, tracker, stopped);
    if (tracker !== undefined && tracks && node.task.inputs !== undefined)
      this.#effects.set(node, await tracker.inputsEffect(node));
    const reason = await resumption?.reasonToRun(node);
    if (resumption === undefined || reason !== undefined) {
      this.#runs(node, reason ?? declaredReason(node));
      return undefined;
    }
    resumption.settle(node);
    this.#effects.set(node, carriedOver);
    this.#parts.tally.resumed += 1;
    run.emit({ type: 'task-resumed', id: node.id, ...this.#explanation(node, 'was done by the last run') });
    return true;
  }

  async #check(node: TaskNode, tracker: Tracker, stopped: () => boolean): Promise<boolean | undefined> {
    const { run, resumption, tally } = this.#parts;
    const look = await tracker.look(node, (needed) => this.#effects.get(needed));
    if (stopped()) throw new Error('stopped');
    if (look.run) {
      await tracker.started(node, look);
      this.#looks.set(node, look);
      this.#runs(node, look.reason);
      return undefined;
    }
    resumption?.settle(node);
    this.#effects.set(node, effectOfFingerprint(node, look.before));
    tally.upToDate += 1;
    const explanation = this.#explanation(node, `is up to date: ${look.reason}`);
    run.emit({ type: 'task-up-to-date', id: node.id, ...explanation });
    return true;
  }

  #runs(node: TaskNode, reason: string): void {
    const { run, journal, resumption, settings } = this.#parts;
    if (resumption !== undefined) journal?.note(node.id, begunAgain);
    if (settings.explain)
      run.emit({ type: 'task-explained', id: node.id, explanation: `${node.label} runs: ${reason}` });
  }

  #explanation(node: TaskNode, text: string): { readonly explanation?: string } {
    return this.#parts.settings.explain ? { explanation: `${node.label} ${text}` } : {};
  }
}

/** Why a task runs that is not checked. */
export function declaredReason(node: TaskNode): string {
  if (node.task.ready !== undefined) return 'it is a long-running process';
  return 'it declares neither inputs nor status';
}
