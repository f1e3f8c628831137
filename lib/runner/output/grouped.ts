import type { Renderer } from '../events.ts';
import { endLine, isEnd, RunView, runLine, taskLine } from './lines.ts';
import type { Terminal } from './terminal.ts';

/** Lines kept of a task that must wait for its block. */
const keptLines = 5000;

/**
 * One block per task, shown when it ends. While only one task is running its lines appear at once: nothing can mix with
 * them, and a long build in CI must not look dead.
 */
export function groupedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const view = new RunView();
  const { style } = terminal;
  const waiting = new Map<string, Buffered>();
  let open: string | undefined;

  const write = (id: string, lines: readonly string[]): void => {
    if (lines.length === 0) return;
    if (open !== id) terminal.err(`${style.cyan(`${style.symbols.arrow} ${view.label(id)}`)}\n`);
    open = id;
    terminal.err(lines.map((line) => `  ${line}\n`).join(''));
  };
  const flush = (id: string): void => {
    write(id, waiting.get(id)?.take() ?? []);
    waiting.delete(id);
  };

  return {
    onEvent: (event) => {
      view.note(event);
      if (event.type === 'task-result') terminal.out(event.text);
      const own = taskLine(event, style, verbose);
      if (own !== undefined && 'id' in event) {
        const buffer = waiting.get(event.id) ?? new Buffered();
        buffer.add(own);
        waiting.set(event.id, buffer);
        if (view.running.size === 1) flush(event.id);
      }
      const line = runLine(event, view, style);
      if (line !== undefined) {
        open = undefined;
        terminal.err(`${line}\n`);
      }
      if (isEnd(event)) {
        flush(event.id);
        open = undefined;
        terminal.err(`${endLine(event, view, style)}\n`);
        if (view.running.size === 1) for (const id of view.running) flush(id);
      }
    },
  };
}

class Buffered {
  #lines: string[] = [];
  #dropped = 0;

  add(line: string): void {
    this.#lines.push(line);
    // Dropped in large steps: one line at a time would move the whole list for each line.
    if (this.#lines.length < keptLines * 2) return;
    this.#dropped += keptLines;
    this.#lines = this.#lines.slice(keptLines);
  }

  take(): string[] {
    return this.#dropped === 0 ? this.#lines : [`(${this.#dropped} lines left out)`, ...this.#lines];
  }
}
