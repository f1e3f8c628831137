import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { toFailure } from '../errors.ts';
import type { NodeResult, Run } from '../execute.ts';
import { type RunnerSettings, runnerOptions } from '../global-options.ts';
import type { Graph, TaskNode } from '../graph.ts';
import { settle, type Tally } from '../tally.ts';
import type { RunOutcome } from '../task.ts';
import { isTracked, ownOptions, settingsDigest } from './describe-node.ts';
import { carriedOver, type Effect, joinedEffect } from './effects.ts';
import { digestOf } from './file-state.ts';
import { begunAgain, Journal, passing, readLastRun } from './journal.ts';
import { Resumption } from './resume.ts';
import { askStatus } from './status.ts';
import { Store } from './store.ts';
import { effectOfFingerprint, type Look, Tracker } from './tracker.ts';

export type MemoryRequest = {
  readonly graph: Graph;
  readonly settings: RunnerSettings;
  /** The folder for what is remembered. */
  readonly memory: string;
};

/** The fingerprints' own folder in what is remembered. */
export const fingerprints = 'fingerprints';

/**
 * Opens what is remembered for a run; undefined when the run has nothing to do with it: a single task that declares nothing
 * leaves no files behind. Throws UsageError when nothing can be resumed. Call it with the lock held: an earlier run must have
 * ended before its journal is read.
 */
export async function openMemory(
  request: MemoryRequest,
  run: Run,
  tally: Tally,
): Promise<Memory | undefined> {
  const { graph, settings } = request;
  const folder = resolve(request.memory);
  const known = existsSync(join(folder, fingerprints));
  const tracks = graph.nodes.some(isTracked);
  if (graph.nodes.length === 1 && !tracks && !known && !settings.explain && !settings.resume)
    return undefined;

  const { label, id, input } = graph.root;
  const options = ownOptions(input.options, Object.keys(runnerOptions));
  const requestName = digestOf([id, options, input.passThrough]);
  const last = settings.resume ? await readLastRun(folder, requestName) : undefined;
  const resumption = settings.resume ? await Resumption.of(last, graph.nodes, label) : undefined;
  // A single task is done or it is not: there is nothing in between to resume.
  const journal =
    graph.nodes.length > 1 ? await Journal.begin(folder, requestName, label, resumption?.entries) : undefined;
  const base = resolve((tracks ? (await run.shell?.(input.options))?.cwd : undefined) ?? '.');
  const tracker = new Tracker({
    store: new Store(folder, fingerprints),
    options,
    base,
    ignored: [folder],
    force: settings.force,
    askStatus: (node, command) => askStatus(node, command, run),
  });
  return new Memory({ run, tally, settings, tracker, journal, resumption, effects: tracks, known });
}

type Parts = {
  readonly run: Run;
  readonly tally: Tally;
  readonly settings: RunnerSettings;
  readonly tracker: Tracker;
  readonly journal: Journal | undefined;
  readonly resumption: Resumption | undefined;
  /** Some task of the run wants to know what its needs did. */
  readonly effects: boolean;
  /** Other runs may want to know. */
  readonly known: boolean;
};

/** Stands around each node of a run: `before` may find that nothing is to be done, `after` remembers what was. */
export class Memory {
  readonly #parts: Parts;
  readonly #looks = new Map<TaskNode, Look>();
  readonly #effects = new Map<TaskNode, Effect>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * True when the node is as good as done, false when it failed before it started; both are counted and told. Undefined when
   * it has to run. `late`: the stop of the run is not for this one. Never rejects.
   */
  async before(node: TaskNode, late: boolean): Promise<boolean | undefined> {
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

  /** Remembers how a node ended that has run. Never rejects. */
  async after(node: TaskNode, result: NodeResult): Promise<void> {
    const { tracker, journal, run, effects, known } = this.#parts;
    const look = this.#looks.get(node);
    const effectOf = (needed: TaskNode): Effect => this.#effects.get(needed);
    if (result.status !== 'done') {
      if (look !== undefined) await tracker.failed(node);
      return;
    }
    try {
      if (look !== undefined) {
        this.#effects.set(node, await tracker.succeeded(node, look, result.report, effectOf));
      } else if (result.report !== undefined && (effects || known)) {
        this.#effects.set(node, await tracker.reported(node, result.report));
      } else if (
        effects &&
        node.task.run === undefined &&
        (await node.task.commands(node.input)).length === 0
      ) {
        this.#effects.set(node, joinedEffect(node, effectOf));
      }
    } catch {
      // What cannot be told about a task leaves its effect unknown: the tasks that need it run.
    }
    if (journal === undefined) return;
    const digest = run.cleanups.some((cleanup) => cleanup.node === node)
      ? passing
      : await settingsDigest(node);
    if (digest !== undefined) journal.note({ id: node.id, digest });
  }

  end(outcome: RunOutcome): void {
    this.#parts.journal?.end(outcome);
  }

  async #decide(node: TaskNode, stopped: () => boolean): Promise<boolean | undefined> {
    const { run, resumption } = this.#parts;
    if (stopped()) throw new Error('stopped');
    if (isTracked(node)) return this.#check(node, stopped);
    if (node.task.ready !== undefined && node.task.inputs !== undefined)
      this.#effects.set(node, await this.#parts.tracker.inputsEffect(node));
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

  async #check(node: TaskNode, stopped: () => boolean): Promise<boolean | undefined> {
    const { run, tracker, resumption, tally } = this.#parts;
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
    if (resumption !== undefined) journal?.note({ id: node.id, digest: begunAgain });
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
