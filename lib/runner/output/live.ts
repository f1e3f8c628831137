import type { Renderer, RunEvent } from '../events.ts';
import { formatDuration } from '../format.ts';
import { endLine, isEnd, RunView, runLine, taskLine } from './lines.ts';
import type { Terminal } from './terminal.ts';

const frameMs = 100;
/** More running tasks than this are counted, not listed. */
const listed = 12;

type Running = { readonly since: number; text: string };

/** For a terminal: finished tasks scroll by as single lines, below them the running ones with time and last line. */
export function liveRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const view = new RunView();
  const { style } = terminal;
  const running = new Map<string, Running>();
  let drawn = 0;
  let frame = 0;
  let paused = false;
  const timer = setInterval(() => {
    frame += 1;
    redraw('');
  }, frameMs);
  // The view alone must not keep the process alive.
  timer.unref();

  /** Writes lines above the running tasks. */
  function redraw(above: string): void {
    if (paused) {
      terminal.err(above);
      return;
    }
    const rows = [...running].slice(0, listed).map(([id, state]) => runningRow(id, state));
    if (running.size > listed) rows.push(style.dim(`  and ${running.size - listed} more`));
    const erase = drawn === 0 ? '' : `\u001B[${drawn}A\u001B[0J`;
    if (above === '' && erase === '' && rows.length === 0) return;
    terminal.err(erase + above + rows.map((row) => `${row}\n`).join(''));
    drawn = rows.length;
  }

  /** Cut to the width of the terminal: a row that wraps could not be erased again. */
  function runningRow(id: string, state: Running): string {
    const { running: frames, ellipsis } = style.symbols;
    const time = formatDuration(Date.now() - state.since);
    const head = `${frames[frame % frames.length] ?? ''} ${view.label(id)} ${time}`;
    const room = Math.max(4, terminal.columns() - 1);
    if (head.length >= room) return style.cyan(head.slice(0, room));
    const text = ` ${plainText(state.text)}`;
    const left = room - head.length;
    const shown = text.length > left ? text.slice(0, Math.max(0, left - ellipsis.length)) + ellipsis : text;
    return style.cyan(head) + style.dim(left > ellipsis.length ? shown : '');
  }

  function onEvent(event: RunEvent): void {
    view.note(event);
    if (event.type === 'task-started') running.set(event.id, { since: event.at, text: '' });
    const state = 'id' in event && event.id !== undefined ? running.get(event.id) : undefined;
    const own = event.type === 'task-progress' ? event.text : taskLine(event, style, verbose);
    if (own !== undefined && state !== undefined && own.trim() !== '') state.text = own;
    if (event.type === 'task-result') {
      hide();
      terminal.out(event.text);
      redraw('');
    }
    const line = runLine(event, view, style);
    if (line !== undefined) redraw(`${line}\n`);
    if (isEnd(event)) {
      running.delete(event.id);
      redraw(`${endLine(event, view, style)}\n`);
    }
  }

  function hide(): void {
    if (drawn > 0) terminal.err(`\u001B[${drawn}A\u001B[0J`);
    drawn = 0;
  }

  return {
    onEvent,
    pause: () => {
      hide();
      paused = true;
    },
    resume: () => {
      paused = false;
    },
    close: () => {
      clearInterval(timer);
      hide();
    },
  };
}

/** Without colours and cursor movements, which would leave the row. */
function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return text.replace(/\u001B\[[0-9;?]*[A-Za-z]|[\u0000-\u001F]/g, '').trim();
}
