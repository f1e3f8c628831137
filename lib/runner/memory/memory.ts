import { resolve } from 'node:path';
import { executeNode } from '../execute.ts';
import { runnerOptions } from '../global-options.ts';
import type { TaskNode } from '../node.ts';
import type { NodeResult, Run } from '../run.ts';
import type { AnyTask, Options, RunOutcome } from '../task.ts';
import type { Fingerprints } from './fingerprint.ts';
import { digestOf, isTracked, passing, settingsDigest } from './record.ts';

/**
 * Opens the records for a run; undefined if the run needs none: a single task that declares nothing leaves no files.
 * Throws UsageError if nothing can be resumed. Requires the lock: an earlier run must have ended before its journal
 * is read.
 */
export async function openMemory(run: Run) {
  const { graph, settings } = run;
  const tracks = graph.nodes.some(isTracked);
  const single = graph.nodes.length === 1;
  if (single && run.holder === undefined && !tracks && !settings.explain && !settings.resume)
    return undefined;

  const folder = resolve(run.memory);
  const { beginJournal, resume } = await import('./journal.ts');
  const { label, roots } = graph;
  // A nested run under the same lock does nothing that the outer run does not know.
  const lock = run.holder === undefined ? undefined : run.locks[0];
  const words = roots.map(({ id, input }) => [id, input.passThrough]);
  const asked = { name: digestOf([ownOptions(graph.options), words]), task: label, lock };
  const resumption = settings.resume ? await resume(folder, asked) : undefined;
  // A single task has no partial result to resume. With a lock, other runs have to know of it.
  const journal = single && lock === undefined ? undefined : await beginJournal(folder, asked);
  const fingerprints = tracks ? await fingerprintsOf(run) : undefined;
  return {
    /** True if nothing has to be done for the node, which is then counted and reported. Throws what its task throws. */
    settles: (node: TaskNode, stopped: () => boolean): Promise<boolean> =>
      isTracked(node) && fingerprints ? check(node, fingerprints, stopped) : resumed(node),
    /** Records a node's result. */
    after: async (node: TaskNode, { status }: NodeResult): Promise<void> => {
      if (status !== 'done') return;
      if (isTracked(node)) await fingerprints?.succeeded(node);
      if (journal === undefined) return;
      const passes = node.longRunning !== undefined || run.cleanups.some((cleanup) => cleanup.node === node);
      journal.note(node.id, passes ? passing : await settingsDigest(node));
    },
    end: (outcome: RunOutcome) => journal?.end(outcome),
  };

  async function resumed(node: TaskNode): Promise<boolean> {
    const reason = await resumption?.reasonToRun(node);
    if (resumption === undefined || reason !== undefined) {
      explain(node, reason ?? declaredReason(node));
      return false;
    }
    journal?.note(node.id, resumption.settle(node));
    run.emit({ type: 'task-resumed', id: node.id, ...explanation(node, 'was done by the last run') });
    return true;
  }

  async function check(node: TaskNode, tracked: Fingerprints, stopped: () => boolean): Promise<boolean> {
    const look = await tracked.look(node);
    // It is interrupted as soon as it starts.
    if (stopped()) return false;
    if (look.run) {
      await tracked.started(node);
      explain(node, look.reason);
      return false;
    }
    resumption?.settle(node);
    const text = `is up to date: ${look.reason}`;
    run.emit({ type: 'task-up-to-date', id: node.id, ...explanation(node, text) });
    return true;
  }

  function explain(node: TaskNode, reason: string): void {
    if (settings.explain)
      run.emit({ type: 'task-explained', id: node.id, explanation: `${node.label} runs: ${reason}` });
  }

  function explanation(node: TaskNode, text: string): { readonly explanation?: string } {
    return settings.explain ? { explanation: `${node.label} ${text}` } : {};
  }
}

async function fingerprintsOf(run: Run): Promise<Fingerprints> {
  const { graph, settings, memory, shell } = run;
  const { openFingerprints } = await import('./fingerprint.ts');
  return openFingerprints({
    memory: resolve(memory),
    options: ownOptions(graph.options),
    base: resolve((await shell?.(graph.options))?.cwd ?? '.'),
    force: settings.force,
    askStatus: (node, command) => askStatus(node, command, run),
  });
}

/**
 * Runs a task's status command like the task: in its folder, with its variables and time limit, stopped with the run.
 * Hides its output.
 */
async function askStatus(node: TaskNode, command: string, run: Run): Promise<string | undefined> {
  const { run: _, retries: __, ...declared } = node.task;
  const task: AnyTask = { ...declared, interactive: false, commands: () => [command] };
  const result = await executeNode({ ...node, task }, { ...run, emit: () => {} });
  if (result.status === 'done') return undefined;
  const how = result.status === 'failed' ? `ended with exit code ${result.failure.exitCode}` : 'was stopped';
  return `its status command ${how}`;
}

/** Options other than the runner's, on which tasks may depend. */
function ownOptions(options: Options): [string, unknown][] {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return given.filter(([name]) => !(name in runnerOptions)).sort();
}

/** Why an untracked task runs. */
function declaredReason({ task }: TaskNode): string {
  return task.ready !== undefined ? 'it is a long-running process' : 'it declares neither inputs nor status';
}
