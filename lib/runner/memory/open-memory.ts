import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { executeNode } from '../execute.ts';
import { type RunnerSettings, runnerOptions } from '../global-options.ts';
import type { Graph, TaskNode } from '../node.ts';
import type { Run } from '../run.ts';
import type { Tally } from '../tally.ts';
import type { AnyTask } from '../task.ts';
import { isTracked, ownOptions } from './describe-node.ts';
import type { Memory } from './memory.ts';
import type { StatusAnswer, Tracker, TrackerSettings } from './tracker.ts';

export type MemoryRequest = {
  readonly graph: Graph;
  readonly settings: RunnerSettings;
  /** The folder for what is remembered. */
  readonly memory: string;
  readonly shell: Run['shell'];
};

/** The folder of the fingerprints in what is remembered. */
const fingerprints = 'fingerprints';

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
  const single = graph.nodes.length === 1;
  if (single && run.holder === undefined && !tracks && !known && !settings.explain && !settings.resume)
    return undefined;

  const [{ Memory }, { Journal, readLastRun }, { digestOf }] = await Promise.all([
    import('./memory.ts'),
    import('./journal.ts'),
    import('./file-state.ts'),
  ]);
  const { label, roots } = graph;
  const options = ownOptions(graph.options, Object.keys(runnerOptions));
  // Inside of a run that holds the lock this one does nothing behind that run's back.
  const lock = run.holder === undefined ? undefined : run.lock;
  const asked = {
    name: digestOf([options, roots.map(({ id, input }) => [id, input.passThrough])]),
    task: label,
    lock,
  };
  const resumption = settings.resume
    ? await (await import('./resume.ts')).Resumption.of(await readLastRun(folder, asked), graph.nodes, label)
    : undefined;
  // A single task is done or it is not: there is nothing in between to resume. With a lock others have to know of it.
  const journal =
    single && lock === undefined ? undefined : await Journal.begin(folder, asked, resumption?.entries);
  const tracker =
    tracks || known
      ? await openTracker(request, (node, command) => askStatus(node, command, run))
      : undefined;
  return new Memory({ run, tally, settings, tracker, tracks, journal, resumption });
}

/** What decides whether tasks are up to date. */
export async function openTracker(
  { graph, settings, memory, shell }: MemoryRequest,
  askStatus: TrackerSettings['askStatus'],
): Promise<Tracker> {
  const [{ Tracker }, { Store }] = await Promise.all([import('./tracker.ts'), import('./store.ts')]);
  const folder = resolve(memory);
  // Asked for only where files are looked at: it may be costly.
  const base = graph.nodes.some(isTracked) ? (await shell?.(graph.options))?.cwd : undefined;
  return new Tracker({
    store: new Store(folder, fingerprints),
    options: ownOptions(graph.options, Object.keys(runnerOptions)),
    base: resolve(base ?? '.'),
    ignored: [folder],
    force: settings.force,
    askStatus,
  });
}

/**
 * Asks a task's status command, in the task's folder and with its variables, as a task of its own: it has the same time limit
 * and is stopped with the run. Its output is only shown when the task runs because of it, as part of the reason.
 */
async function askStatus(node: TaskNode, command: string, run: Run): Promise<StatusAnswer> {
  const { run: _, retries: __, ...declared } = node.task;
  const task: AnyTask = { ...declared, interactive: false, commands: () => [command] };
  const result = await executeNode({ ...node, task }, { ...run, emit: () => {} });
  if (result.status === 'done') return { good: true };
  if (result.status === 'interrupted') throw new Error('stopped');
  return { good: false, reason: `its status command ended with exit code ${result.failure.exitCode}` };
}
