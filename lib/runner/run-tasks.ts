import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatPlace } from './call-site.ts';
import { BackPressure } from './child-output.ts';
import { endOrphans, nestingLevel } from './children.ts';
import { exitCodes, formatFailure, TaskError, toFailure } from './errors.ts';
import type { Emit, NodeSummary, Renderer } from './events.ts';
import { executeNode } from './execute.ts';
import { formatDuration } from './format.ts';
import { acquireLock, isHeldAround, type Lock } from './lock.ts';
import { chainOf, type TaskNode } from './node.ts';
import { createRenderer } from './output/renderer.ts';
import { deferred } from './pause.ts';
import { openRecorder, type RunRecorder } from './report/recorder.ts';
import type { Cleanup, Gate, NodeResult, Run, RunRequest } from './run.ts';
import { runScheduled } from './schedule.ts';
import { openTally, summaryLines } from './summary.ts';
import { startLimit } from './suspend.ts';
import type { RunOutcome } from './task.ts';

/** Runs a checked graph and returns the exit code. */
export async function runTasks(request: RunRequest): Promise<number> {
  const { graph, settings, stop, terminal, redactor, children } = request;
  const startedAt = Date.now();
  const recorder = openRecorder(graph, { lines: settings.report !== undefined });
  const isReported = (settings.report ?? settings.trace) !== undefined;
  const reports = isReported ? await import('./report/reports.ts') : undefined;
  const writeReports = await reports?.openReports(request, recorder);
  terminal.pressure = new BackPressure();
  const screen = createRenderer(settings.output, terminal, settings.verbose, graph.nodes.length, {
    env: process.env,
    redact: (text) => redactor.redact(text),
  });
  const tally = openTally(stop);
  const emit: Emit = (body) => {
    tally.note(body);
    const event = redactor.redactAll({ ...body, at: Date.now() });
    screen.onEvent(event);
    recorder.onEvent(event);
  };
  stop.onStop = (reason) => {
    terminal.pressure?.release();
    if (reason.type !== 'crash') emit({ type: 'run-stopping', reason });
  };
  emit({ type: 'run-started', nodes: graph.nodes.map(nodeSummary), jobs: settings.jobs });
  const locks: (Lock | undefined)[] = [];
  try {
    for (const path of request.locks) locks.push(await takeLock(path, request, emit));
    const run: Run = { ...request, emit, cleanups: [], holder: locks[0]?.holder, cleaning: false };
    const memory = await runNodes(run, screen);
    memory?.end(tally.outcome());
    await stop.ended();
    const clean = await runCleanups(run, tally.outcome());
    await children.end();
    const summary = tally.summarize(clean, Date.now() - startedAt);
    emit({ type: 'run-ended', ...summary });
    screen.close?.();
    const written = await writeReports?.();
    if (settings.output !== 'json') {
      const view = {
        nodes: graph.nodes.length,
        style: terminal.style,
        verbose: settings.verbose,
        timing: summary.durationMs < 1000 ? [] : await timingOf(request, recorder),
        reports: written?.files,
      };
      for (const line of summaryLines(redactor.redactAll(summary), view)) terminal.err(`${line}\n`);
    }
    if (written?.failure === undefined) return summary.exitCode;
    for (const line of formatFailure(written.failure, settings.verbose)) terminal.err(`${line}\n`);
    return summary.exitCode || exitCodes.failed;
  } finally {
    screen.close?.();
    for (const lock of locks.reverse()) await lock?.release();
    // Unless there are more locks in them.
    for (const path of request.locks) await rmdir(dirname(path)).catch(() => undefined);
  }
}

/** What the time was spent on, for longer runs. */
async function timingOf({ terminal, redactor }: RunRequest, recorder: RunRecorder): Promise<string[]> {
  const { timingLines } = await import('./report/critical-path.ts');
  // Only a terminal has a width.
  const columns = terminal.isTerminal ? terminal.columns() : 160;
  return timingLines(redactor.redactAll(recorder.recorded()), terminal.style, columns);
}

/** Runs all nodes and returns what remembers them. */
async function runNodes(run: Run, screen: Renderer) {
  const { stop, emit } = run;
  const { openMemory } = await import('./memory/memory.ts');
  const memory = await openMemory(run);
  await runScheduled(run, {
    run: async (node, late, service) => {
      const stopped = (): boolean => stop.signal.aborted && !late;
      let refused: NodeResult | undefined;
      try {
        if (await memory?.settles(node, stopped)) return true;
      } catch (error) {
        // Otherwise it is interrupted as soon as it starts.
        if (!stopped()) refused = { status: 'failed', failure: toFailure(error), lastLines: [] };
      }
      emit({ type: 'task-started', id: node.id });
      const at = Date.now();
      const gate = late ? finaliserGate(node, run) : undefined;
      if (node.task.interactive) screen.pause?.();
      const result = refused ?? (await executeNode(node, run, gate, service));
      if (node.task.interactive) screen.resume?.();
      gate?.release();
      await memory?.after(node, result);
      const { id, label } = node;
      const durationMs = Date.now() - at;
      if (result.status === 'done') emit({ type: 'task-done', id, report: result.report, durationMs });
      else if (result.status === 'interrupted') emit({ type: 'task-interrupted', id, durationMs });
      else {
        const { failure, lastLines } = result;
        const place = formatPlace(node.task.place);
        emit({ type: 'task-failed', durationMs, id, label, failure, chain: chainOf(node), lastLines, place });
      }
      return result.status === 'done';
    },
    skip: (node, because) => emit({ type: 'task-skipped', id: node.id, because: because?.id }),
  });
  return memory;
}

async function takeLock(
  path: string,
  { graph, settings, stop }: RunRequest,
  emit: Emit,
): Promise<Lock | undefined> {
  if (await isHeldAround(path)) return undefined;
  return await acquireLock(path, {
    task: graph.label,
    wait: settings.wait,
    onWait: (holder) => emit({ type: 'lock-waiting', holder }),
    onStale: async (holder) => {
      const ended = await endOrphans(holder);
      if (ended > 0) emit({ type: 'orphans-ended', holder, count: ended });
    },
    signal: stop.signal,
  });
}

function nodeSummary({ id, label, needs, late, task }: TaskNode): NodeSummary {
  return {
    id,
    label,
    name: task.name,
    private: task.private === true,
    needs: Array.from(needs, (needed) => needed.id),
    late,
    place: () => task.place,
  };
}

/** Milliseconds for a cleanup; less after a second signal. */
const cleanupMs = 30_000;
const hurriedCleanupMs = 5000;

/**
 * Runs the cleanups of `onRunEnd`, last registered first, each for a limited time, even if others fail. Returns
 * whether all succeeded.
 */
async function runCleanups(run: Run, outcome: RunOutcome): Promise<boolean> {
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
  const limit = run.stop.hurrySignal.aborted ? hurriedCleanupMs : cleanupMs;
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
function finaliserGate(node: TaskNode, run: Run): Gate & { readonly release: () => void } {
  const { stop, children } = run;
  const abort = new AbortController();
  const interrupts: Gate['interrupts'] = new Set();
  let endLimit: (() => unknown) | undefined;

  const end = (failure?: TaskError): void => {
    const gone = children.end(node.id);
    abort.abort(failure);
    for (const interrupt of [...interrupts]) interrupt(gone);
  };
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
  const over = new AbortController();
  if (stop.signal.aborted) limit();
  else stop.signal.addEventListener('abort', limit, { signal: over.signal });
  stop.hurrySignal.addEventListener('abort', () => end(), { signal: over.signal });
  return {
    signal: abort.signal,
    interrupts,
    release: () => {
      endLimit?.();
      over.abort();
      children.spared.delete(node.id);
    },
  };
}
