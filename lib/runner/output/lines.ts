import type { RunEvent } from '../events.ts';
import { count, formatDuration, listChanges } from '../format.ts';
import { describeHolder } from '../lock.ts';
import { pageLines } from './page.ts';
import { Progress } from './progress.ts';
import type { Style, Terminal } from './terminal.ts';
import { plainText } from './text.ts';

type EventOf<Type extends RunEvent['type']> = Extract<RunEvent, { type: Type }>;

/** Milliseconds from which also a silent private task is shown: on a busy machine, to find a tool takes seconds. */
const trivialMs = 10_000;

/** Waiting tasks among which each frame looks for the next one: there may be thousands. */
const mostLooked = 100;

/** The state of a run that line-by-line renderers need. */
export class RunView {
  readonly #labels = new Map<string, string>();
  /** Private tasks that have said nothing. */
  readonly #silent = new Set<string>();
  /** Tasks that have not started, with their needs, in the order of the run. */
  readonly #waiting = new Map<string, readonly string[]>();
  /** How far the running tasks are. */
  readonly running = new Map<string, Progress>();

  /** Number of nodes; with 1, no output can mix. */
  get size(): number {
    return this.#labels.size;
  }

  /** Length of the longest label. */
  widest = 0;

  label(id: string | undefined): string {
    return (id === undefined ? undefined : this.#labels.get(id)) ?? id ?? '';
  }

  note(event: RunEvent): void {
    if (event.type === 'run-started') {
      // Labels may contain anything. Copies two fields only: a full copy would compute each node's place.
      for (const node of event.nodes) {
        const plain = plainText(node.label);
        this.#labels.set(node.id, plain);
        if (node.private) this.#silent.add(node.id);
        this.#waiting.set(node.id, node.needs);
        this.widest = Math.max(this.widest, plain.length);
      }
    } else if ('id' in event) this.#noteTask(event);
  }

  #noteTask(event: Extract<RunEvent, { id: string }>): void {
    const { id } = event;
    this.#waiting.delete(id);
    if (event.type === 'task-started') this.running.set(id, new Progress(event.at));
    else if (event.type === 'task-progress') this.running.get(id)?.note(event);
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
  progressLine(event: RunEvent, style: Style): string | undefined {
    if (event.type !== 'task-progress') return undefined;
    const line = this.running.get(event.id)?.line(event);
    if (line === undefined) return undefined;
    const { next } = this;
    return style.dim(`${this.label(event.id)}: ${line}${next === undefined ? '' : `; next: ${next}`}`);
  }

  /** True if nobody needs to know that the task has ended: a private one that did nothing, such as finding a tool. */
  isTrivial(event: EndEvent): boolean {
    if (event.type !== 'task-done' || event.report === 'changed') return false;
    return this.#silent.has(event.id) && event.durationMs < trivialMs;
  }
}

export type EndEvent = EventOf<'task-done' | 'task-failed' | 'task-interrupted'>;

export function isEnd(event: RunEvent): event is EndEvent {
  return event.type === 'task-done' || event.type === 'task-failed' || event.type === 'task-interrupted';
}

/** A line such as `✓ init-vault 2.1s changed`, with its line break; without `verbose`, empty for a trivial task. */
export function endLine(event: EndEvent, view: RunView, style: Style, verbose: boolean): string {
  return view.isTrivial(event) && !verbose ? '' : `${endText(event, view, style)}\n`;
}

function endText(event: EndEvent, view: RunView, style: Style): string {
  const time = style.dim(formatDuration(event.durationMs));
  const label = view.label(event.id);
  switch (event.type) {
    case 'task-done': {
      const report = event.report === undefined ? '' : ` ${style.dim(event.report)}`;
      return `${style.green(style.symbols.done)} ${label} ${time}${report}`;
    }
    case 'task-failed':
      return `${style.red(style.symbols.failed)} ${label} ${time} ${style.red(event.failure.what)}`;
    case 'task-interrupted':
      return `${style.yellow(style.symbols.failed)} ${label} ${time} stopped`;
    default: {
      const never: never = event;
      throw new Error(`unknown event ${String(never)}`);
    }
  }
}

/** Prints a result, or a page that is not shown in place. */
export function printResult(event: RunEvent, terminal: Terminal): void {
  if (event.type === 'task-result') terminal.out(event.text);
  if (event.type === 'task-page') terminal.out(`${pageLines(event.rows).join('\n')}\n`);
}

/** A line of a task's own output; undefined for other events and those of the live view. */
export function taskLine(event: RunEvent, style: Style, verbose: boolean): string | undefined {
  if (event.type === 'task-output') return event.line;
  if (event.type === 'task-command') return style.dim(`$ ${event.command}`);
  if (event.type === 'task-progress' && verbose) return style.dim(event.text);
  return undefined;
}

/** A line about the whole run, if the event is about it. */
export function runLine(event: RunEvent, view: RunView, style: Style): string | undefined {
  switch (event.type) {
    case 'lock-waiting':
      return style.yellow(`waiting for ${describeHolder(event.holder)}`);
    case 'orphans-ended':
      return style.yellow(
        `ended ${count(event.count, 'process', 'processes')} that the ${describeHolder(event.holder)}, which was killed, left behind`,
      );
    case 'task-retried': {
      const again = `attempt ${event.attempt} of ${event.attempts} failed, trying again`;
      return style.yellow(`${view.label(event.id)}: ${again}: ${event.failure.what}`);
    }
    case 'task-ready':
      return style.dim(`${view.label(event.id)} is ready after ${formatDuration(event.durationMs)}`);
    case 'cleanup-failed':
      return style.red(`${view.label(event.id)}: cleaning up failed: ${event.failure.what}`);
    case 'task-up-to-date':
    case 'task-resumed': {
      const word = event.type === 'task-resumed' ? 'was done by the last run' : 'is up to date';
      return `${style.green(style.symbols.done)} ${event.explanation ?? `${view.label(event.id)} ${word}`}`;
    }
    case 'task-explained':
      return style.dim(event.explanation);
    case 'watch-waiting':
      return style.dim(
        `watching ${count(event.files, 'input')} of ${count(event.tasks, 'task')}; Ctrl-C ends it`,
      );
    case 'watch-changed':
      return style.cyan(listChanges(event.changes, 3));
    case 'run-stopping':
      return style.yellow(stoppingText(event.reason));
    default:
      return undefined;
  }
}

function stoppingText(reason: EventOf<'run-stopping'>['reason']): string {
  switch (reason.type) {
    case 'signal':
      return `stopping on ${reason.signal}; once more kills what is still running`;
    case 'hang-up':
      return 'stopping: nobody reads the output any more';
    case 'failure':
      return 'stopping what is running';
    case 'change':
      return 'stopping: an input changed';
    default: {
      const never: never = reason;
      throw new Error(`unknown reason ${String(never)}`);
    }
  }
}
