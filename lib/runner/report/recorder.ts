import { formatPlace } from '../call-site.ts';
import type { Renderer, RunEvent } from '../events.ts';
import type { Graph, TaskNode } from '../node.ts';
import { RunView, runLine } from '../output/lines.ts';
import { createStyle } from '../output/terminal.ts';
import type { RunOutcome } from '../task.ts';
import { KeptLines } from './kept-lines.ts';
import type { RecordedLine, RecordedRun, RecordedTask, TaskStatus } from './recorded-run.ts';

/** A task's state from events; the rest is read at the end. */
type State = {
  readonly node: TaskNode;
  readonly place: number;
  status: TaskStatus;
  report?: RecordedTask['report'];
  startedAt?: number;
  /** When its dependents could start, if not at its end. */
  readyAt?: number;
  endedAt?: number;
  lane?: number;
  readonly retriedAt: number[];
  failure?: RecordedTask['failure'];
  chain?: readonly string[];
  because?: string | undefined;
};

const plainStyle = createStyle(false, true);

/**
 * Records a run, as a renderer that shows nothing. Stores a few fields per task; with `lines` also its last lines.
 * All times are milliseconds since the start of the run.
 */
export class RunRecorder implements Renderer {
  /** From the first to the last event. */
  durationMs = 0;
  readonly #label: string;
  readonly #states: readonly State[];
  readonly #byId: Map<string, State>;
  readonly #lines: KeptLines | undefined;
  readonly #view = new RunView();
  readonly #notes: { at: number; text: string }[] = [];
  /** Lanes of the timeline; true if taken. */
  readonly #lanes: boolean[] = [];
  #startedAt = 0;
  #jobs = 1;
  #outcome: RunOutcome = 'interrupted';
  #exitCode = 1;

  constructor(graph: Graph, options: { readonly lines: boolean }) {
    this.#label = graph.label;
    this.#states = graph.nodes.map((node, place) => ({ node, place, status: 'waiting', retriedAt: [] }));
    this.#byId = new Map(this.#states.map((state) => [state.node.id, state]));
    this.#lines = options.lines ? new KeptLines() : undefined;
  }

  onEvent(event: RunEvent): void {
    if (event.type === 'run-started') {
      this.#startedAt = event.at;
      this.#jobs = event.jobs;
    }
    this.durationMs = event.at - this.#startedAt;
    if (this.#lines !== undefined) this.#noteRun(event);
    if (event.type === 'run-ended') {
      this.#outcome = event.outcome;
      this.#exitCode = event.exitCode;
    } else if ('id' in event) {
      const state = this.#byId.get(event.id);
      if (state !== undefined) this.#noteTask(state, event, this.durationMs);
    }
  }

  /** The run so far; tasks that are still running end with the last event. */
  recorded(): RecordedRun {
    const starts = this.#states.map(({ startedAt = this.durationMs }) => startedAt);
    const first = starts.reduce((least, startedAt) => Math.min(least, startedAt), this.durationMs);
    return {
      label: this.#label,
      startedAt: this.#startedAt,
      durationMs: this.durationMs,
      jobs: this.#jobs,
      outcome: this.#outcome,
      exitCode: this.#exitCode,
      notes: this.#notes,
      tasks: this.#states.map((state) => this.#task(state, first)),
    };
  }

  #task({ node, readyAt: _, ...state }: State, first: number): RecordedTask {
    const { startedAt, endedAt, status, because, place, ...rest } = state;
    const needs = [...node.needs].flatMap((needed) => this.#byId.get(needed.id) ?? []);
    // Before the first task, the run waited for its lock.
    const couldAt = needs.reduce((at, need) => Math.max(at, need.readyAt ?? need.endedAt ?? first), first);
    return {
      report: undefined,
      lane: undefined,
      failure: undefined,
      chain: [],
      ...rest,
      label: node.label,
      description: node.task.description,
      place: formatPlace(node.task),
      needs: needs.map((need) => need.place),
      status,
      startedAt,
      endedAt: endedAt ?? (status === 'running' ? this.durationMs : undefined),
      waitedMs: startedAt === undefined ? 0 : Math.max(0, startedAt - couldAt),
      because: because === undefined ? undefined : this.#byId.get(because)?.place,
      ...(this.#lines?.of(place) ?? { lines: [], dropped: 0 }),
    };
  }

  #noteTask(state: State, event: Extract<RunEvent, { id: string }>, at: number): void {
    const keep = (stream: RecordedLine['stream'], text: string): void => {
      this.#lines?.add(state.place, { at, stream, text });
    };
    switch (event.type) {
      case 'task-started':
        state.status = 'running';
        state.startedAt = at;
        state.lane = this.#freeLane();
        return;
      case 'task-done':
        this.#end(state, 'done', at);
        state.report = event.report;
        return;
      case 'task-failed':
        this.#end(state, 'failed', at);
        state.failure = event.failure;
        state.chain = event.chain;
        return;
      case 'task-interrupted':
        this.#end(state, 'interrupted', at);
        return;
      case 'task-up-to-date':
      case 'task-resumed':
        state.status = event.type === 'task-resumed' ? 'resumed' : 'up-to-date';
        state.readyAt = at;
        return;
      case 'task-ready':
        state.readyAt = at;
        return;
      case 'task-skipped':
        state.status = 'skipped';
        state.because = event.because;
        return;
      case 'task-retried':
        state.retriedAt.push(at);
        keep('log', `attempt ${event.attempt} of ${event.attempts} failed: ${event.failure.what}`);
        return;
      case 'task-command':
        keep('command', event.command);
        return;
      case 'task-output':
        keep(event.stream, event.line);
        return;
      case 'task-result':
        for (const line of event.text.trimEnd().split('\n')) keep('stdout', line);
        return;
      default:
        return;
    }
  }

  /** Records what renderers say about the whole run, in the same words. */
  #noteRun(event: RunEvent): void {
    this.#view.note(event);
    const text = event.type === 'task-retried' ? undefined : runLine(event, this.#view, plainStyle);
    if (text !== undefined) this.#notes.push({ at: this.durationMs, text });
  }

  #end(state: State, status: TaskStatus, at: number): void {
    state.status = status;
    state.endedAt = at;
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
