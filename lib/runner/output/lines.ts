import type { NodeSummary, RunEvent } from '../events.ts';
import { count, formatDuration, listChanges } from '../format.ts';
import { describeHolder } from '../lock.ts';
import { pageLines } from './frame.ts';
import { Progress } from './progress.ts';
import type { Style, Terminal } from './terminal.ts';
import { plainText } from './text.ts';

type EventOf<Type extends RunEvent['type']> = Extract<RunEvent, { type: Type }>;

/** Milliseconds from which also a silent private task is shown: on a busy machine, to find a tool takes seconds. */
const trivialMs = 10_000;

/** Waiting tasks among which each frame looks for the next one: there may be thousands. */
const mostLooked = 100;

export type EndEvent = EventOf<'task-done' | 'task-failed' | 'task-interrupted'>;

export function isEnd(event: RunEvent): event is EndEvent {
  return event.type === 'task-done' || event.type === 'task-failed' || event.type === 'task-interrupted';
}

/** The state of a run that line-by-line renderers need, and the lines for its events. */
export class RunView {
  readonly #style: Style;
  readonly #verbose: boolean;
  readonly #nodes = new Map<string, Pick<NodeSummary, 'label' | 'place'>>();
  /** Private tasks that have said nothing. */
  readonly #silent = new Set<string>();
  /** Tasks that have not started, with their needs, in the order of the run. */
  readonly #waiting = new Map<string, readonly string[]>();
  /** How far the running tasks are. */
  readonly running = new Map<string, Progress>();
  /** Time of the last event. */
  at = 0;
  /** Length of the longest label. */
  widest = 0;

  constructor(style: Style, verbose = false) {
    this.#style = style;
    this.#verbose = verbose;
  }

  /** Number of nodes; with 1, no output can mix. */
  get size(): number {
    return this.#nodes.size;
  }

  label(id: string): string {
    return this.#nodes.get(id)?.label ?? id;
  }

  place(id: string): ReturnType<NodeSummary['place']> | undefined {
    return this.#nodes.get(id)?.place();
  }

  note(event: RunEvent): void {
    this.at = event.at;
    if (event.type === 'run-started') {
      const early = event.nodes.filter(({ late }) => !late).map(({ id }) => id);
      for (const node of event.nodes) {
        // Labels may contain anything.
        const label = plainText(node.label);
        this.#nodes.set(node.id, { label, place: node.place });
        if (node.private) this.#silent.add(node.id);
        this.#waiting.set(node.id, node.late ? early : node.needs);
        this.widest = Math.max(this.widest, label.length);
      }
    } else if ('id' in event) this.#noteTask(event);
  }

  #noteTask(event: Extract<RunEvent, { id: string }>): void {
    const { id } = event;
    const progress = this.running.get(id);
    this.#waiting.delete(id);
    if (event.type === 'task-page' && progress !== undefined) progress.page = event.rows;
    if (event.type === 'task-started') this.running.set(id, new Progress(event.at));
    else if (event.type === 'task-progress') progress?.note(event);
    else if (isEnd(event)) this.running.delete(id);
    else this.#silent.delete(id);
  }

  /** The label of a task that waits for nothing but its turn, among the first that wait. */
  get next(): string | undefined {
    const isOver = (need: string): boolean => !this.#waiting.has(need) && !this.running.has(need);
    let left = mostLooked;
    for (const [id, needs] of this.#waiting) {
      if (needs.every(isOver)) return this.label(id);
      left -= 1;
      if (left === 0) break;
    }
    return undefined;
  }

  /** A line of a log about a task's progress, now and then. */
  #progressLine(event: RunEvent): string | undefined {
    if (event.type !== 'task-progress') return undefined;
    const line = this.running.get(event.id)?.line(event);
    if (line === undefined) return undefined;
    const next = this.next === undefined ? '' : `; next: ${this.next}`;
    return this.#style.dim(`${this.label(event.id)}: ${line}${next}`);
  }

  /** A line such as `✓ init-vault 2.1s changed`, with its line break; empty for a trivial task, unless verbose. */
  endLine(event: EndEvent): string {
    // Nobody needs to know that a private task has ended that did nothing, such as finding a tool.
    const isTrivial =
      event.type === 'task-done' &&
      event.report !== 'changed' &&
      this.#silent.has(event.id) &&
      event.durationMs < trivialMs;
    return isTrivial && !this.#verbose ? '' : `${this.endText(event)}\n`;
  }

  endText(event: EndEvent): string {
    const { dim, green, red, yellow, symbols } = this.#style;
    const text = `${this.label(event.id)} ${dim(formatDuration(event.durationMs))}`;
    if (event.type === 'task-failed') return `${red(symbols.failed)} ${text} ${red(event.failure.what)}`;
    if (event.type === 'task-interrupted') return `${yellow(symbols.failed)} ${text} stopped`;
    return `${green(symbols.done)} ${text}${event.report === undefined ? '' : ` ${dim(event.report)}`}`;
  }

  /** A line of a task's own output; undefined for other events and those of the live view. */
  ownLine(event: RunEvent): string | undefined {
    if (event.type === 'task-output') return event.line;
    if (event.type === 'task-command') return this.#style.dim(`$ ${event.command}`);
    if (event.type === 'task-progress' && this.#verbose) return this.#style.dim(event.text);
    return undefined;
  }

  /** A line about the whole run, if the event is about it. */
  runLine(event: RunEvent): string | undefined {
    const { cyan, dim, green, red, symbols, yellow } = this.#style;
    switch (event.type) {
      case 'lock-waiting':
        return yellow(`waiting for ${describeHolder(event.holder)}`);
      case 'orphans-ended':
        return yellow(
          `ended ${count(event.count, 'process', 'processes')} that the ${describeHolder(event.holder)}, which was killed, left behind`,
        );
      case 'task-retried': {
        const again = `attempt ${event.attempt} of ${event.attempts} failed, trying again`;
        return yellow(`${this.label(event.id)}: ${again}: ${event.failure.what}`);
      }
      case 'task-ready':
        return dim(`${this.label(event.id)} is ready after ${formatDuration(event.durationMs)}`);
      case 'cleanup-failed':
        return red(`${this.label(event.id)}: cleaning up failed: ${event.failure.what}`);
      case 'task-up-to-date':
      case 'task-resumed': {
        const word = event.type === 'task-resumed' ? 'was done by the last run' : 'is up to date';
        return `${green(symbols.done)} ${event.explanation ?? `${this.label(event.id)} ${word}`}`;
      }
      case 'task-explained':
        return dim(event.explanation);
      case 'watch-waiting':
        return dim(
          `watching ${count(event.files, 'input')} of ${count(event.tasks, 'task')}; Ctrl-C ends it`,
        );
      case 'watch-changed':
        return cyan(listChanges(event.changes, 3));
      case 'run-stopping':
        return yellow(stoppingText(event.reason));
      default:
        return undefined;
    }
  }

  /**
   * Writes a task's result, or a page that is not shown in place, and hands out the lines for an event. Those of `own`
   * and `about` have no line break.
   */
  tell(
    event: RunEvent,
    terminal: Terminal,
    to: {
      readonly own: (line: string, id: string) => void;
      readonly about: (line: string) => void;
      readonly end: (event: EndEvent) => unknown;
    },
  ): void {
    this.note(event);
    if (event.type === 'task-result') terminal.out(event.text);
    if (event.type === 'task-page') terminal.out(`${pageLines(event.rows).join('\n')}\n`);
    const own = this.ownLine(event);
    if (own !== undefined && 'id' in event) to.own(own, event.id);
    const about = this.runLine(event) ?? (own === undefined ? this.#progressLine(event) : undefined);
    if (about !== undefined) to.about(about);
    if (isEnd(event)) to.end(event);
  }
}

const stoppingTexts = {
  'hang-up': 'stopping: nobody reads the output any more',
  failure: 'stopping what is running',
  change: 'stopping: an input changed',
};

function stoppingText(reason: EventOf<'run-stopping'>['reason']): string {
  if (reason.type !== 'signal') return stoppingTexts[reason.type];
  return `stopping on ${reason.signal}; once more kills what is still running`;
}
