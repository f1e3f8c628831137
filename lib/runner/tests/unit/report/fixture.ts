import type { RunEventBody } from '../../../events.ts';
import type { Graph } from '../../../node.ts';
import {
  openRecorder,
  type RecordedRun,
  type RecordedTask,
  type RunRecorder,
} from '../../../report/recorder.ts';
import { openTally } from '../../../summary.ts';
import type { AnyTask } from '../../../task.ts';
import { node } from '../../rig/events.ts';
import { plain, graphOf as runOf } from '../../rig/graphs.ts';

/** The graph of a task `top` that needs all of these. */
export async function graphOf(tasks: readonly AnyTask[]): Promise<Graph> {
  return await runOf(plain('top', { needs: tasks }));
}

/** The id of the node with this label. */
export function idOf(graph: Graph, label: string): string {
  return graph.nodes.find((node) => node.label === label)?.id ?? '';
}

/** Of a run without tasks. */
export const summary = openTally({ reason: undefined }).summarize(true, 0);

/** Milliseconds since 1970 at which a recorded run begins. */
export const begin = 1_700_000_000_000;

/** Records events given with their milliseconds since the start of the run. */
export function record(graph: Graph, events: readonly (readonly [number, RunEventBody])[]): RunRecorder {
  const recorder = openRecorder(graph, { lines: true });
  const nodes = graph.nodes.map(({ id, label }) => ({ ...node(id), label }));
  for (const [at, event] of [[0, { type: 'run-started', nodes, jobs: 2 }] as const, ...events])
    recorder.onEvent({ ...event, at: begin + at });
  return recorder;
}

/** A task of a recorded run that took from one time to another. */
export function ran(
  label: string,
  startedAt: number,
  endedAt: number,
  more: Partial<RecordedTask> = {},
): RecordedTask {
  return {
    ...{ label, description: `makes ${label}`, place: 'x.ts:1', needs: [], chain: [], because: undefined },
    ...{ status: 'done', startedAt, endedAt, waitedMs: 0, lane: 0, attempts: 1, lines: [], dropped: 0 },
    ...more,
  };
}

/** Of a task that never began. */
export const unstarted = { startedAt: undefined, endedAt: undefined, lane: undefined };

export function recordedRun(tasks: readonly RecordedTask[], more: Partial<RecordedRun> = {}): RecordedRun {
  const durationMs = Math.max(0, ...tasks.map((task) => task.endedAt ?? 0));
  const rest = { label: 'top', startedAt: begin, jobs: 2, outcome: 'done', exitCode: 0, notes: [] } as const;
  return { ...rest, durationMs, tasks, ...more };
}
