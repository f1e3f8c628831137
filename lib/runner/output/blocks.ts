import type { Renderer, RunEvent } from '../events.ts';
import { type EndEvent, endLine, isEnd, printResult, RunView, runLine, taskLine } from './lines.ts';
import type { Terminal } from './terminal.ts';

/** Limits of lines and characters kept for a task that waits for its block. */
const keptLines = 5000;
const keptCharacters = 4 << 20;

/** The format of a block. All texts end with a line break or are empty. */
export type BlockFormat = {
  /** `again`: the task had a block before. `ended`: its result, if all lines come at once. */
  readonly open: (id: string, label: string, again: boolean, ended: EndEvent | undefined) => string;
  readonly line: (line: string) => string;
  readonly close: () => string;
  /** After the line with a task's result. */
  readonly afterEnd: (event: EndEvent, view: RunView) => string;
  /** Gets every event first. */
  readonly note?: (event: RunEvent) => void;
};

/**
 * One block per task, shown when it ends. A task that runs alone is shown immediately: nothing can mix with its
 * lines, and a long build in CI must not look dead.
 */
export function blockRenderer(terminal: Terminal, verbose: boolean, format: BlockFormat): Renderer {
  const view = new RunView();
  const { style } = terminal;
  const waiting = new Map<string, Buffered>();
  const opened = new Set<string>();
  let open: string | undefined;

  const close = (): void => {
    if (open !== undefined) terminal.err(format.close());
    open = undefined;
  };
  const write = (id: string, lines: readonly string[], ended?: EndEvent): void => {
    if (lines.length === 0) return;
    if (open !== id) {
      close();
      terminal.err(format.open(id, view.label(id), opened.has(id), ended));
      opened.add(id);
      open = id;
    }
    terminal.err(lines.map(format.line).join(''));
  };
  const flush = (id: string, ended?: EndEvent): void => {
    write(id, waiting.get(id)?.take() ?? [], ended);
    waiting.delete(id);
  };

  return {
    onEvent: (event) => {
      view.note(event);
      format.note?.(event);
      printResult(event, terminal);
      const own = taskLine(event, style, verbose);
      if (own !== undefined && 'id' in event) {
        if (view.running.size === 1 && !waiting.has(event.id)) {
          write(event.id, [own]);
        } else {
          const buffer = waiting.get(event.id) ?? new Buffered();
          buffer.add(own);
          waiting.set(event.id, buffer);
          if (view.running.size === 1) flush(event.id);
        }
      }
      const line =
        runLine(event, view, style) ?? (own === undefined ? view.progressLine(event, style) : undefined);
      if (line !== undefined) {
        close();
        terminal.err(`${line}\n`);
      }
      if (isEnd(event)) {
        flush(event.id, event);
        close();
        terminal.err(endLine(event, view, style, verbose) + format.afterEnd(event, view));
        if (view.running.size === 1) for (const id of view.running.keys()) flush(id);
      }
    },
    close: () => {
      for (const id of waiting.keys()) flush(id);
      close();
    },
  };
}

/** The newest lines in two halves, of which the older is dropped whole: dropping single lines would cost far more. */
class Buffered {
  #older: string[] = [];
  #lines: string[] = [];
  #characters = 0;
  #dropped = 0;

  add(line: string): void {
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#lines.length < keptLines && this.#characters < keptCharacters) return;
    this.#dropped += this.#older.length;
    this.#older = this.#lines;
    this.#lines = [];
    this.#characters = 0;
  }

  take(): string[] {
    const lines = [...this.#older, ...this.#lines];
    return this.#dropped === 0 ? lines : [`(${this.#dropped} lines left out)`, ...lines];
  }
}

/** Blocks below their task's name, indented. */
export function groupedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  return blockRenderer(terminal, verbose, {
    open: (_id, label) => `${style.cyan(`${style.symbols.arrow} ${label}`)}\n`,
    line: (line) => `  ${line}\n`,
    close: () => '',
    afterEnd: () => '',
  });
}
