import { BackPressure } from './back-pressure.ts';
import { finaliserGate, runCleanups } from './cleanup.ts';
import { exitCodes, formatFailure } from './errors.ts';
import type { Emit, NodeSummary, Renderer } from './events.ts';
import { executeNode } from './execute.ts';
import { acquireLock, isHeldAround, type Lock } from './lock.ts';
import type { TaskNode } from './node.ts';
import { endOrphans } from './orphans.ts';
import { createRenderer } from './output/renderer.ts';
import { summaryLines } from './output/summary.ts';
import { openRecorder, type RunRecorder } from './report/recorder.ts';
import type { Run, RunRequest } from './run.ts';
import { runScheduled } from './schedule.ts';
import { emptyTally, outcomeOf, settle, summarize } from './tally.ts';

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
  const renderers: Renderer[] = [screen, recorder];
  const emit: Emit = (body) => {
    const event = redactor.redactAll({ ...body, at: Date.now() });
    for (const renderer of renderers) renderer.onEvent(event);
  };
  stop.onStop = (reason) => {
    terminal.pressure?.release();
    if (reason.type !== 'crash') emit({ type: 'run-stopping', reason });
  };
  emit({ type: 'run-started', nodes: graph.nodes.map(nodeSummary), jobs: settings.jobs });
  const locks: (Lock | undefined)[] = [];
  try {
    for (const path of request.locks) locks.push(await takeLock(path, request, emit));
    const tally = emptyTally();
    const run: Run = { ...request, emit, tally, cleanups: [], holder: locks[0]?.holder, cleaning: false };
    await runNodes(run, screen);
    await stop.ended();
    const clean = await runCleanups(run, outcomeOf(stop.reason, tally));
    await children.end();
    const summary = summarize(stop.reason, tally, clean, Date.now() - startedAt);
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
  }
}

/** What the time was spent on, for longer runs. */
async function timingOf({ terminal, redactor }: RunRequest, recorder: RunRecorder): Promise<string[]> {
  const { timingLines } = await import('./report/critical-path.ts');
  // Only a terminal has a width.
  const columns = terminal.isTerminal ? terminal.columns() : 160;
  return timingLines(redactor.redactAll(recorder.recorded()), terminal.style, columns);
}

async function runNodes(run: Run, screen: Renderer): Promise<void> {
  const { stop, tally } = run;
  const { openMemory } = await import('./memory/memory.ts');
  const memory = await openMemory(run);
  await runScheduled(run, {
    run: async (node, late, service) => {
      const settled = await memory?.before(node, late);
      if (settled !== undefined) return settled;
      run.emit({ type: 'task-started', id: node.id });
      const at = Date.now();
      const gate = late ? finaliserGate(node, run) : undefined;
      if (node.task.interactive) screen.pause?.();
      const result = await executeNode(node, run, gate, service);
      if (node.task.interactive) screen.resume?.();
      gate?.release();
      await memory?.after(node, result);
      return settle(node, result, at, run);
    },
    skip: (node, because) => {
      tally.skipped += 1;
      run.emit({ type: 'task-skipped', id: node.id, because: because?.id });
    },
  });
  memory?.end(outcomeOf(stop.reason, tally));
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
    ownsFolder: true,
    onWait: (holder) => emit({ type: 'lock-waiting', holder }),
    onStale: async (holder) => {
      const ended = await endOrphans(holder);
      if (ended > 0) emit({ type: 'orphans-ended', holder, count: ended });
    },
    signal: stop.signal,
  });
}

function nodeSummary({ id, label, needs, task }: TaskNode): NodeSummary {
  return {
    id,
    label,
    name: task.name,
    private: task.private === true,
    needs: Array.from(needs, (needed) => needed.id),
    place: () => task,
  };
}
