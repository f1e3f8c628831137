import { formatPlace } from '../call-site.ts';
import type { Failure } from '../errors.ts';
import type { Renderer, RunEvent } from '../events.ts';
import type { Graph, TaskNode } from '../node.ts';
import { RunView, runLine } from '../output/lines.ts';
import { createStyle } from '../output/terminal.ts';
import type { RunOutcome } from '../task.ts';
import { KeptLines } from './kept-lines.ts';
import type { RecordedLine, RecordedRun, RecordedTask, TaskStatus } from './recorded-run.ts';

/** Times are milliseconds since 1970 here. */
type State = {
  readonly node: TaskNode;
  readonly place: number;
  status: TaskStatus;
  report?: RecordedTask['report'];
  startedAt?: number;
  /** When those that need it could start, where that was not its end. */
  readyAt?: number;
  endedAt?: number;
  lane?: number;
  readonly retriedAt: number[];
  failure?: Failure;
  chain: readonly string[];
  because?: string | undefined;
};

/**
 * Remembers what happens in a run, as a renderer that shows nothing. Costs a few fields per task; with `lines` also the
 * last lines of each.
 */
export class RunRecorder implements Renderer {
  readonly #label: string;
  readonly #states: readonly State[];
  readonly #byId: Map<string, State>;
  readonly #lines: KeptLines | undefined;
  readonly #view = new RunView();
  readonly #notes: { at: number; text: string }[] = [];
  /** The lanes of the timeline; true while a task is drawn on it. */
  readonly #lanes: boolean[] = [];
  #startedAt = 0;
  #endedAt = 0;
  #jobs = 1;
  #outcome: RunOutcome = 'interrupted';
  #exitCode = 1;

  constructor(graph: Graph, options: { readonly lines: boolean }) {
    this.#label = graph.label;
    this.#states = graph.nodes.map((node, place) => ({
      node,
      place,
      status: 'waiting',
      retriedAt: [],
      chain: [],
    }));
    this.#byId = new Map(this.#states.map((state) => [state.node.id, state]));
    this.#lines = options.lines ? new KeptLines() : undefined;
  }

  onEvent(event: RunEvent): void {
    this.#endedAt = event.at;
    if (this.#lines !== undefined) this.#noteRun(event);
    if (event.type === 'run-started') {
      this.#startedAt = event.at;
      this.#jobs = event.jobs;
    } else if (event.type === 'run-ended') {
      this.#outcome = event.outcome;
      this.#exitCode = event.exitCode;
    } else if ('id' in event) {
      const state = this.#byId.get(event.id);
      if (state !== undefined) this.#noteTask(state, event);
    }
  }

  /** Milliseconds from the first event to the last one. */
  get durationMs(): number {
    return this.#endedAt - this.#startedAt;
  }

  /** What is known by now; what still runs counts until the last event. */
  recorded(): RecordedRun {
    const first = this.#states.reduce(
      (least, { startedAt = least }) => Math.min(least, startedAt),
      this.#endedAt,
    );
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

  #task(state: State, first: number): RecordedTask {
    const { node, startedAt, endedAt, status } = state;
    const end = endedAt ?? (status === 'running' ? this.#endedAt : undefined);
    const relative = (at: number | undefined): number | undefined => at && at - this.#startedAt;
    const { name, description } = node.task;
    return {
      label: node.label,
      name,
      description,
      place: formatPlace(node.task),
      needs: [...node.needs].flatMap((needed) => this.#byId.get(needed.id)?.place ?? []),
      status,
      report: state.report,
      startedAt: relative(startedAt),
      endedAt: relative(end),
      waitedMs: startedAt === undefined ? 0 : Math.max(0, startedAt - this.#readyAt(state, first)),
      lane: state.lane,
      retriedAt: state.retriedAt.map((at) => at - this.#startedAt),
      failure: state.failure,
      chain: state.chain,
      because: state.because === undefined ? undefined : this.#byId.get(state.because)?.place,
      ...(this.#lines?.of(state.place) ?? { lines: [], dropped: 0 }),
    };
  }

  /** Nothing can run before the first task of all: until then the run waited for its lock. */
  #readyAt({ node }: State, first: number): number {
    let readyAt = first;
    for (const needed of node.needs) {
      const state = this.#byId.get(needed.id);
      readyAt = Math.max(readyAt, state?.readyAt ?? state?.endedAt ?? first);
    }
    return readyAt;
  }

  #noteTask(state: State, event: Extract<RunEvent, { id: string }>): void {
    switch (event.type) {
      case 'task-started':
        state.status = 'running';
        state.startedAt = event.at;
        state.lane = this.#freeLane();
        return;
      case 'task-done':
        this.#end(state, 'done', event.at);
        state.report = event.report;
        return;
      case 'task-failed':
        this.#end(state, 'failed', event.at);
        state.failure = event.failure;
        state.chain = event.chain;
        return;
      case 'task-interrupted':
        this.#end(state, 'interrupted', event.at);
        return;
      case 'task-ready':
        state.readyAt = event.at;
        return;
      case 'task-up-to-date':
        state.status = 'up-to-date';
        state.readyAt = event.at;
        return;
      case 'task-resumed':
        state.status = 'resumed';
        state.readyAt = event.at;
        return;
      case 'task-skipped':
        state.status = 'skipped';
        state.because = event.because;
        return;
      case 'task-retried':
        state.retriedAt.push(event.at);
        this.#keep(
          state,
          event.at,
          'log',
          `attempt ${event.attempt} of ${event.attempts} failed: ${event.failure.what}`,
        );
        return;
      case 'task-command':
        this.#keep(state, event.at, 'command', event.command);
        return;
      case 'task-output':
        this.#keep(state, event.at, event.stream, event.line);
        return;
      case 'task-result':
        for (const line of event.text.trimEnd().split('\n')) this.#keep(state, event.at, 'stdout', line);
        return;
      default:
        return;
    }
  }

  /** What renderers say about the run as a whole goes into the report in the same words. */
  #noteRun(event: RunEvent): void {
    this.#view.note(event);
    const text = event.type === 'task-retried' ? undefined : runLine(event, this.#view, plainStyle);
    if (text !== undefined) this.#notes.push({ at: event.at - this.#startedAt, text });
  }

  #end(state: State, status: TaskStatus, at: number): void {
    state.status = status;
    state.endedAt = at;
    if (state.lane !== undefined) this.#lanes[state.lane] = false;
  }

  /** The first lane on which nothing is drawn, now taken. */
  #freeLane(): number {
    const free = this.#lanes.indexOf(false);
    const lane = free < 0 ? this.#lanes.length : free;
    this.#lanes[lane] = true;
    return lane;
  }

  #keep(state: State, at: number, stream: RecordedLine['stream'], text: string): void {
    this.#lines?.add(state.place, { at: at - this.#startedAt, stream, text });
  }
}

const plainStyle = createStyle(false, true);
