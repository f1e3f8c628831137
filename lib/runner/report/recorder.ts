import { stripVTControlCharacters } from 'node:util';
import { formatPlace } from '../call-site.ts';
import type { Failure } from '../errors.ts';
import type { RunEvent } from '../events.ts';
import type { Graph, TaskNode } from '../node.ts';
import { RunView } from '../output/lines.ts';
import { createStyle } from '../output/terminal.ts';
import { Newest, ownBeginning } from '../output/text.ts';
import type { RunOutcome } from '../task.ts';

/** A task's result; `waiting`: never started, for no reported reason. */
type TaskStatus =
  | 'waiting'
  | 'running'
  | 'done'
  | 'up-to-date'
  | 'resumed'
  | 'failed'
  | 'interrupted'
  | 'skipped';

type RecordedLine = {
  /** Milliseconds since the start of the run. */
  readonly at: number;
  readonly stream: 'stdout' | 'stderr' | 'output' | 'log' | 'command';
  readonly text: string;
};

/** A task at the end of a run. All times are milliseconds since the start of the run. */
export type RecordedTask = {
  readonly label: string;
  readonly description: string;
  /** `tasks/vault.ts:12` */
  readonly place: string;
  /** Indexes of its needs in the list of tasks. */
  readonly needs: readonly number[];
  readonly status: TaskStatus;
  readonly report?: 'changed' | 'unchanged' | undefined;
  readonly startedAt?: number | undefined;
  readonly endedAt?: number | undefined;
  /** Time in which it could have run, but no worker was free or its mutex was taken. */
  readonly waitedMs: number;
  /** Index of the worker on whose lane it is drawn. */
  readonly lane?: number | undefined;
  readonly attempts: number;
  readonly failure?: Failure | undefined;
  /** Labels from the requested task down to this one, if it failed. */
  readonly chain: readonly string[];
  /** Index of the task because of which it was skipped. */
  readonly because: number | undefined;
  readonly lines: readonly RecordedLine[];
  /** Number of earlier lines that were dropped. */
  readonly dropped: number;
};

export type RecordedRun = {
  /** The requested tasks. */
  readonly label: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly jobs: number;
  readonly outcome: RunOutcome;
  readonly exitCode: number;
  /** Messages about the whole run. */
  readonly notes: readonly { readonly at: number; readonly text: string }[];
  /** In dependency order. */
  readonly tasks: readonly RecordedTask[];
};

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

type AtEnd = 'label' | 'description' | 'place' | 'needs' | 'waitedMs' | 'lines' | 'dropped';

/** A task's state from events; the rest is read at the end. */
type State = Mutable<Omit<RecordedTask, AtEnd>> & {
  readonly node: TaskNode;
  readonly kept: Newest<RecordedLine> | undefined;
  /** When its dependents could start, if not at its end. */
  readyAt?: number;
};

/** Limits for the last lines of a task: their number, and the characters of each. */
const linesOfTask = 1000;
const lineLength = 2000;

export type RunRecorder = ReturnType<typeof openRecorder>;

/**
 * Records a run, as a renderer that shows nothing. Stores a few fields per task; with `lines` also its last lines.
 * All times are milliseconds since the start of the run.
 */
export function openRecorder(graph: Graph, { lines }: { readonly lines: boolean }) {
  const states = graph.nodes.map((node): State => {
    const most = { lines: linesOfTask, characters: Number.POSITIVE_INFINITY };
    const kept = lines ? new Newest<RecordedLine>(most) : undefined;
    return { node, kept, status: 'waiting', chain: [], attempts: 1, because: undefined };
  });
  const places = new Map(graph.nodes.map(({ id }, place) => [id, place]));
  const view = new RunView(createStyle(false, true));
  const notes: { at: number; text: string }[] = [];
  /** Lanes of the timeline; true if taken. */
  const lanes: boolean[] = [];
  const run: Mutable<Omit<RecordedRun, 'notes' | 'tasks'>> = {
    ...{ label: graph.label, startedAt: 0, durationMs: 0, jobs: 1, outcome: 'interrupted', exitCode: 1 },
  };
  return { onEvent, recorded };

  function onEvent(event: RunEvent): void {
    if (event.type === 'run-started') Object.assign(run, { startedAt: event.at, jobs: event.jobs });
    run.durationMs = event.at - run.startedAt;
    if (lines) noteRun(event);
    if (event.type === 'run-ended') Object.assign(run, { outcome: event.outcome, exitCode: event.exitCode });
    const state = 'id' in event ? states[places.get(event.id) ?? -1] : undefined;
    if ('id' in event && state !== undefined) noteTask(state, event, run.durationMs);
  }

  /** The run so far; tasks that are still running end with the last event. */
  function recorded(): RecordedRun {
    const first = states.reduce((least, { startedAt = least }) => Math.min(least, startedAt), run.durationMs);
    return { ...run, notes, tasks: states.map((state) => recordedTask(state, first)) };
  }

  function recordedTask({ node, kept, readyAt: _, ...state }: State, first: number): RecordedTask {
    const { startedAt, status } = state;
    const needs = [...node.needs].flatMap(({ id }) => places.get(id) ?? []);
    const readyAt = (need: number): number => states[need]?.readyAt ?? states[need]?.endedAt ?? first;
    // Before the first task, the run waited for its lock.
    const couldAt = needs.reduce((at, need) => Math.max(at, readyAt(need)), first);
    return {
      ...state,
      label: node.label,
      description: node.task.description,
      place: formatPlace(node.task.place),
      needs,
      endedAt: state.endedAt ?? (status === 'running' ? run.durationMs : undefined),
      waitedMs: startedAt === undefined ? 0 : Math.max(0, startedAt - couldAt),
      ...(kept?.kept(linesOfTask) ?? { lines: [], dropped: 0 }),
    };
  }

  function noteTask(state: State, event: Extract<RunEvent, { id: string }>, at: number): void {
    const keep = (stream: RecordedLine['stream'], text: string): void =>
      state.kept?.add({ at, stream, text: ownBeginning(plain(text), lineLength) }, 0);
    const note = (now: Partial<State>): void => void Object.assign(state, now);
    if (event.type === 'task-started') note({ status: 'running', startedAt: at, lane: freeLane() });
    else if (event.type === 'task-done') end(state, at, { status: 'done', report: event.report });
    else if (event.type === 'task-failed')
      end(state, at, { status: 'failed', failure: event.failure, chain: event.chain });
    else if (event.type === 'task-interrupted') end(state, at, { status: 'interrupted' });
    else if (event.type === 'task-up-to-date') note({ status: 'up-to-date', readyAt: at });
    else if (event.type === 'task-resumed') note({ status: 'resumed', readyAt: at });
    else if (event.type === 'task-ready') note({ readyAt: at });
    else if (event.type === 'task-skipped')
      note({ status: 'skipped', because: places.get(event.because ?? '') });
    else if (event.type === 'task-command') keep('command', event.command);
    else if (event.type === 'task-output') keep(event.stream, event.line);
    else if (event.type === 'task-result')
      for (const line of event.text.trimEnd().split('\n')) keep('stdout', line);
    else if (event.type === 'task-retried') {
      state.attempts += 1;
      keep('log', `attempt ${event.attempt} of ${event.attempts} failed: ${event.failure.what}`);
    }
  }

  /** Records what renderers say about the whole run, in the same words. */
  function noteRun(event: RunEvent): void {
    view.note(event);
    const text = event.type === 'task-retried' ? undefined : view.runLine(event);
    if (text !== undefined) notes.push({ at: run.durationMs, text });
  }

  function end(state: State, at: number, result: Partial<State>): void {
    Object.assign(state, result, { endedAt: at });
    if (state.lane !== undefined) lanes[state.lane] = false;
  }

  /** Takes the first free lane. */
  function freeLane(): number {
    const free = lanes.indexOf(false);
    const lane = free < 0 ? lanes.length : free;
    lanes[lane] = true;
    return lane;
  }
}

/** Without colours and control characters other than tabs and line breaks. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what has no look of its own
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000B-\u001F\u007F]/g, '');
}
