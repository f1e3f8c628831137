import { resolve } from 'node:path';
import { toFailure, UsageError } from '../errors.ts';
import { executeNode } from '../execute.ts';
import { type RunnerSettings, runnerOptions } from '../global-options.ts';
import type { Graph, TaskNode } from '../node.ts';
import type { NodeResult, Run } from '../run.ts';
import { settle, type Tally } from '../tally.ts';
import { type AnyTask, isEmpty, type Options, type RunOutcome } from '../task.ts';
import type { FingerprintSettings, Fingerprints, Look } from './fingerprint.ts';
import type { Journal } from './journal.ts';
import { digestOf, isTracked, neededBy, passing, settingsDigest } from './node-settings.ts';
import type { Resumption } from './resume.ts';

export type MemoryRequest = {
  readonly graph: Graph;
  readonly settings: RunnerSettings;
  /** The folder for what is remembered. */
  readonly memory: string;
  readonly shell: Run['shell'];
};

type MemoryParts = {
  readonly run: Run;
  readonly tally: Tally;
  readonly explain: boolean;
  /** Undefined when no task of the run is tracked. */
  readonly fingerprints: Fingerprints | undefined;
  readonly journal: Journal | undefined;
  readonly resumption: Resumption | undefined;
};

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
  const tracks = graph.nodes.some(isTracked);
  const single = graph.nodes.length === 1;
  if (single && run.holder === undefined && !tracks && !settings.explain && !settings.resume)
    return undefined;

  const folder = resolve(request.memory);
  const { Journal, readLastRun } = await import('./journal.ts');
  const { label, roots } = graph;
  // Inside of a run that holds the lock this one does nothing behind that run's back.
  const lock = run.holder === undefined ? undefined : run.lock;
  const words = roots.map(({ id, input }) => [id, input.passThrough]);
  const asked = { name: digestOf([ownOptions(graph.options), words]), task: label, lock };
  const resumption = settings.resume
    ? await (await import('./resume.ts')).Resumption.of(await readLastRun(folder, asked), graph.nodes, label)
    : undefined;
  // A single task is done or it is not: there is nothing in between to resume. With a lock others have to know of it.
  const journal = single && lock === undefined ? undefined : await Journal.begin(folder, asked);
  const fingerprints = tracks
    ? await openFingerprints(request, (node, command) => askStatus(node, command, run))
    : undefined;
  return new Memory({ run, tally, explain: settings.explain, fingerprints, journal, resumption });
}

/** Stands around each node of a run: `before` may find that nothing is to be done, `after` remembers what was. */
export class Memory {
  readonly #parts: MemoryParts;
  readonly #looks = new Map<TaskNode, Look>();

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  /**
   * True when the node is as good as done, false when it failed before it started; both are counted and told. Undefined when
   * it has to run. `late`: the stop of the run is not for this one. Never rejects.
   */
  async before(node: TaskNode, late: boolean): Promise<boolean | undefined> {
    const { run, tally, fingerprints } = this.#parts;
    const stopped = (): boolean => run.stop.signal.aborted && !late;
    try {
      return isTracked(node) && fingerprints !== undefined
        ? await this.#check(node, fingerprints, stopped)
        : await this.#resume(node);
    } catch (error) {
      run.emit({ type: 'task-started', id: node.id });
      const result: NodeResult = stopped()
        ? { status: 'interrupted' }
        : { status: 'failed', failure: toFailure(error), lastLines: [] };
      settle(node, result, 0, tally, run.emit);
      return false;
    }
  }

  /** A long-running process always has to run. */
  launched(node: TaskNode): void {
    this.#explain(node, this.#parts.resumption ? 'it does not outlast a run' : declaredReason(node));
  }

  /** Remembers a node that has run; never rejects. */
  async after(node: TaskNode, { status }: NodeResult): Promise<void> {
    const { run, journal, fingerprints } = this.#parts;
    if (status !== 'done') return;
    const look = this.#looks.get(node);
    if (look !== undefined) await fingerprints?.succeeded(node, look);
    if (journal === undefined) return;
    const passes = run.cleanups.some((cleanup) => cleanup.node === node);
    journal.note(node.id, passes ? passing : await settingsDigest(node));
  }

  end(outcome: RunOutcome): void {
    this.#parts.journal?.end(outcome);
  }

  async #resume(node: TaskNode): Promise<boolean | undefined> {
    const { run, tally, resumption, journal } = this.#parts;
    const reason = await resumption?.reasonToRun(node);
    if (resumption === undefined || reason !== undefined) {
      this.#explain(node, reason ?? declaredReason(node));
      return undefined;
    }
    journal?.note(node.id, resumption.settle(node));
    tally.resumed += 1;
    run.emit({ type: 'task-resumed', id: node.id, ...this.#explanation(node, 'was done by the last run') });
    return true;
  }

  async #check(
    node: TaskNode,
    fingerprints: Fingerprints,
    stopped: () => boolean,
  ): Promise<boolean | undefined> {
    const { run, tally, resumption } = this.#parts;
    const look = await fingerprints.look(node);
    if (stopped()) throw new Error('stopped');
    if (look.run) {
      await fingerprints.started(node, look);
      this.#looks.set(node, look);
      this.#explain(node, look.reason);
      return undefined;
    }
    resumption?.settle(node);
    tally.upToDate += 1;
    const explanation = this.#explanation(node, `is up to date: ${look.reason}`);
    run.emit({ type: 'task-up-to-date', id: node.id, ...explanation });
    return true;
  }

  #explain(node: TaskNode, reason: string): void {
    const { run, explain } = this.#parts;
    if (explain)
      run.emit({ type: 'task-explained', id: node.id, explanation: `${node.label} runs: ${reason}` });
  }

  #explanation(node: TaskNode, text: string): { readonly explanation?: string } {
    return this.#parts.explain ? { explanation: `${node.label} ${text}` } : {};
  }
}

/**
 * Says for each task of a run that does not take place why it would run or not, one line each. No command is started, so what
 * depends on one (a status command, what a need changes) is told as a condition.
 */
export async function predict(request: MemoryRequest): Promise<Map<TaskNode, string>> {
  const asked = new Set<TaskNode>();
  const fingerprints = await openFingerprints(request, async (node) => {
    asked.add(node);
    return undefined;
  });
  const running = new Set<TaskNode>();
  const lines = new Map<TaskNode, string>();
  for (const node of request.graph.nodes) lines.set(node, `${node.label} ${await textOf(node)}`);
  return lines;

  async function textOf(node: TaskNode): Promise<string> {
    const first = neededBy(node).find((needed) => running.has(needed));
    if (!isTracked(node)) {
      if (!(await isEmpty(node.task, node.input)) || first !== undefined) running.add(node);
      return `runs: ${declaredReason(node)}`;
    }
    const look = await fingerprints.look(node).catch((error) => {
      if (error instanceof UsageError) return error;
      throw error;
    });
    const hangsOn = node.task.inputs === undefined ? undefined : first;
    if (look instanceof UsageError || look.run || asked.has(node) || hangsOn !== undefined) running.add(node);
    if (look instanceof UsageError)
      return first === undefined ? `fails: ${look.what}` : `runs after ${first.label}: ${look.what} yet`;
    if (look.run) return `runs: ${look.reason}`;
    if (hangsOn !== undefined) return `runs if ${hangsOn.label}, which it needs, changes an input`;
    if (asked.has(node)) return 'runs unless its status command says that nothing is to be done';
    return `is up to date: ${look.reason}`;
  }
}

/** What decides whether tasks are up to date. */
async function openFingerprints(
  { graph, settings, memory, shell }: MemoryRequest,
  askStatus: FingerprintSettings['askStatus'],
): Promise<Fingerprints> {
  const { Fingerprints } = await import('./fingerprint.ts');
  return new Fingerprints({
    memory: resolve(memory),
    options: ownOptions(graph.options),
    base: resolve((await shell?.(graph.options))?.cwd ?? '.'),
    force: settings.force,
    askStatus,
  });
}

/**
 * Asks a task's status command, in the task's folder and with its variables, as a task of its own: it has the same time limit
 * and is stopped with the run. Its output is not shown.
 */
async function askStatus(node: TaskNode, command: string, run: Run): Promise<string | undefined> {
  const { run: _, retries: __, ...declared } = node.task;
  const task: AnyTask = { ...declared, interactive: false, commands: () => [command] };
  const result = await executeNode({ ...node, task }, { ...run, emit: () => {} });
  if (result.status === 'done') return undefined;
  if (result.status === 'interrupted') throw new Error('stopped');
  return `its status command ended with exit code ${result.failure.exitCode}`;
}

/** The options that are not the runner's own: those that a task's work may depend on. */
function ownOptions(options: Options): [string, unknown][] {
  const own = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !(name in runnerOptions),
  );
  return own.sort(([left], [right]) => (left < right ? -1 : 1));
}

/** Why a task runs that is not checked. */
function declaredReason({ task }: TaskNode): string {
  return task.ready !== undefined ? 'it is a long-running process' : 'it declares neither inputs nor status';
}
