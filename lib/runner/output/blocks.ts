import type { Renderer } from '../events.ts';
import { type EndEvent, RunView } from './lines.ts';
import { Newest } from './newest.ts';
import type { Terminal } from './terminal.ts';

/** Limits for a task that waits for its block. */
const kept = { lines: 5000, characters: 4 << 20 };

/** The format of a block. All texts end with a line break or are empty. */
type BlockFormat = {
  /** `again`: the task had a block before. `ended`: its result, if all lines come at once. */
  readonly open: (label: string, again: boolean, ended: EndEvent | undefined) => string;
  readonly indent?: string;
  readonly close?: () => string;
  /** After the line with a task's result. */
  readonly afterEnd?: (event: EndEvent) => string;
};

/**
 * One block per task, shown when it ends. A task that runs alone is shown immediately: nothing can mix with its
 * lines, and a long build in CI must not look dead.
 */
export function blockRenderer(
  terminal: Terminal,
  verbose: boolean,
  formatOf: (view: RunView) => BlockFormat,
): Renderer {
  const view = new RunView(terminal.style, verbose);
  const format = formatOf(view);
  const waiting = new Map<string, Newest<string>>();
  const opened = new Set<string>();
  let open: string | undefined;

  const close = (): void => {
    if (open !== undefined) terminal.err(format.close?.() ?? '');
    open = undefined;
  };
  const write = (id: string, lines: readonly string[], ended?: EndEvent): void => {
    if (lines.length === 0) return;
    if (open !== id) {
      close();
      terminal.err(format.open(view.label(id), opened.has(id), ended));
      opened.add(id);
      open = id;
    }
    terminal.err(lines.map((line) => `${format.indent ?? ''}${line}\n`).join(''));
  };
  const flush = (id: string, ended?: EndEvent): void => {
    const { lines, dropped } = waiting.get(id)?.kept() ?? { lines: [], dropped: 0 };
    write(id, dropped === 0 ? lines : [`(${dropped} lines left out)`, ...lines], ended);
    waiting.delete(id);
  };
  const to = {
    own: (line: string, id: string): void => {
      const lines = waiting.get(id) ?? new Newest(kept);
      lines.add(line, line.length);
      waiting.set(id, lines);
      if (view.running.size === 1) flush(id);
    },
    about: (line: string): void => {
      close();
      terminal.err(`${line}\n`);
    },
    end: (event: EndEvent): void => {
      flush(event.id, event);
      close();
      terminal.err(view.endLine(event) + (format.afterEnd?.(event) ?? ''));
      if (view.running.size === 1) for (const id of view.running.keys()) flush(id);
    },
  };
  return {
    onEvent: (event) => view.tell(event, terminal, to),
    close: () => {
      for (const id of waiting.keys()) flush(id);
      close();
    },
  };
}

/** Blocks below their task's name, indented. */
export function groupedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  return blockRenderer(terminal, verbose, () => ({
    open: (label) => `${style.cyan(`${style.symbols.arrow} ${label}`)}\n`,
    indent: '  ',
  }));
}
