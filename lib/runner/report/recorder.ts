import { stripVTControlCharacters } from 'node:util';
import { formatPlace } from '../call-site.ts';
import type { Renderer, RunEvent } from '../events.ts';
import type { Graph, TaskNode } from '../node.ts';
import { RunView } from '../output/lines.ts';
import { Newest } from '../output/newest.ts';
import { createStyle } from '../output/terminal.ts';
import { ownBeginning } from '../output/text.ts';
import type { RecordedLine, RecordedRun, RecordedTask } from './recorded-run.ts';

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

/** A task's state from events; the rest is read at the end. */
type State = Mutable<
  Pick<RecordedTask, 'status' | 'report' | 'startedAt' | 'endedAt' | 'lane' | 'failure' | 'chain'>
> & {
  readonly node: TaskNode;
  readonly place: number;
  readonly retriedAt: number[];
  readonly kept: Newest<RecordedLine> | undefined;
  /** When its dependents could start, if not at its end. */
  readyAt?: number;
  /** An id. */
  because?: string | undefined;
};

/** Limits for the last lines of a task: their number, and the characters of each. */
const linesOfTask = 1000;
const lineLength = 2000;

/**
 * Records a run, as a renderer that shows nothing. Stores a few fields per task; with `lines` also its last lines.
 * All times are milliseconds since the start of the run.
 */
export class RunRecorder implements Renderer {
  /** From the first to the last event. */
  durationMs = 0;
  readonly #states: readonly State[];
  readonly #byId: Map<string, State>;
  readonly #lines: boolean;
  readonly #view = new RunView(createStyle(false, true));
  readonly #notes: { at: number; text: string }[] = [];
  /** Lanes of the timeline; true if taken. */
  readonly #lanes: boolean[] = [];
  readonly #run: Mutable<Omit<RecordedRun, 'durationMs' | 'notes' | 'tasks'>>;

  constructor(graph: Graph, { lines }: { readonly lines: boolean }) {
    this.#run = { label: graph.label, startedAt: 0, jobs: 1, outcome: 'interrupted', exitCode: 1 };
    this.#states = graph.nodes.map((node, place) => {
      const most = { lines: linesOfTask, characters: Number.POSITIVE_INFINITY };
      const kept = lines ? new Newest<RecordedLine>(most) : undefined;
      return { node, place, kept, status: 'waiting', chain: [], retriedAt: [] };
    });
    this.#byId = new Map(this.#states.map((state) => [state.node.id, state]));
    this.#lines = lines;
  }

  onEvent(event: RunEvent): void {
    if (event.type === 'run-started') Object.assign(this.#run, { startedAt: event.at, jobs: event.jobs });
    this.durationMs = event.at - this.#run.startedAt;
    if (this.#lines) this.#noteRun(event);
    const state = 'id' in event ? this.#byId.get(event.id) : undefined;
    if (event.type === 'run-ended')
      Object.assign(this.#run, { outcome: event.outcome, exitCode: event.exitCode });
    else if ('id' in event && state !== undefined) this.#noteTask(state, event, this.durationMs);
  }

  /** The run so far; tasks that are still running end with the last event. */
  recorded(): RecordedRun {
    const starts = this.#states.map(({ startedAt = this.durationMs }) => startedAt);
    const first = starts.reduce((least, startedAt) => Math.min(least, startedAt), this.durationMs);
    const tasks = this.#states.map((state) => this.#task(state, first));
    return { ...this.#run, durationMs: this.durationMs, notes: this.#notes, tasks };
  }

  #task({ node, kept, readyAt: _, because, place: __, ...state }: State, first: number): RecordedTask {
    const { startedAt, status } = state;
    const needs = [...node.needs].flatMap((needed) => this.#byId.get(needed.id) ?? []);
    // Before the first task, the run waited for its lock.
    const couldAt = needs.reduce((at, need) => Math.max(at, need.readyAt ?? need.endedAt ?? first), first);
    return {
      ...state,
      label: node.label,
      description: node.task.description,
      place: formatPlace(node.task),
      needs: needs.map((need) => need.place),
      endedAt: state.endedAt ?? (status === 'running' ? this.durationMs : undefined),
      waitedMs: startedAt === undefined ? 0 : Math.max(0, startedAt - couldAt),
      because: because === undefined ? undefined : this.#byId.get(because)?.place,
      ...(kept?.kept(linesOfTask) ?? { lines: [], dropped: 0 }),
    };
  }

  #noteTask(state: State, event: Extract<RunEvent, { id: string }>, at: number): void {
    const keep = (stream: RecordedLine['stream'], text: string): void =>
      state.kept?.add({ at, stream, text: ownBeginning(plain(text), lineLength) }, 0);
    const note = (now: Partial<State>): void => void Object.assign(state, now);
    if (event.type === 'task-started') note({ status: 'running', startedAt: at, lane: this.#freeLane() });
    else if (event.type === 'task-done') this.#end(state, at, { status: 'done', report: event.report });
    else if (event.type === 'task-failed')
      this.#end(state, at, { status: 'failed', failure: event.failure, chain: event.chain });
    else if (event.type === 'task-interrupted') this.#end(state, at, { status: 'interrupted' });
    else if (event.type === 'task-up-to-date') note({ status: 'up-to-date', readyAt: at });
    else if (event.type === 'task-resumed') note({ status: 'resumed', readyAt: at });
    else if (event.type === 'task-ready') note({ readyAt: at });
    else if (event.type === 'task-skipped') note({ status: 'skipped', because: event.because });
    else if (event.type === 'task-command') keep('command', event.command);
    else if (event.type === 'task-output') keep(event.stream, event.line);
    else if (event.type === 'task-result')
      for (const line of event.text.trimEnd().split('\n')) keep('stdout', line);
    else if (event.type === 'task-retried') {
      state.retriedAt.push(at);
      keep('log', `attempt ${event.attempt} of ${event.attempts} failed: ${event.failure.what}`);
    }
  }

  /** Records what renderers say about the whole run, in the same words. */
  #noteRun(event: RunEvent): void {
    this.#view.note(event);
    const text = event.type === 'task-retried' ? undefined : this.#view.runLine(event);
    if (text !== undefined) this.#notes.push({ at: this.durationMs, text });
  }

  #end(state: State, at: number, result: Partial<State>): void {
    Object.assign(state, result, { endedAt: at });
    if (state.lane !== undefined) this.#lanes[state.lane] = false;
  }

  /** Takes the first free lane. */
  #freeLane(): number {
    const free = this.#lanes.indexOf(false);
    const lane = free < 0 ? this.#lanes.length : free;
    this.#lanes[lane] = true;
    return lane;
  }
}

/** Without colours and control characters other than tabs and line breaks. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what has no look of its own
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000B-\u001F\u007F]/g, '');
}
