import type { Renderer, RunEvent } from '../events.ts';
import { formatDuration } from '../format.ts';
import { onSuspend } from '../suspend.ts';
import { endLine, isEnd, RunView, runLine, taskLine } from './lines.ts';
import type { Terminal } from './terminal.ts';
import { cutText, linesOf, ownBeginning, plainText, textWidth } from './text.ts';

const frameMs = 100;
/** Up to this many running tasks are listed, fewer on a low terminal; the rest is counted. */
const listed = 12;
/** Characters considered for each frame, more than any terminal's width. */
const longestText = 2000;
/** No bars below this width. */
const narrow = 60;
/** A last line with less room is not shown. */
const leastText = 8;

type Running = { readonly since: number; text: string };

type Row = { readonly text: string; readonly plain: string };

/**
 * For a terminal: finished tasks scroll by as single lines, above the running ones with their time and last line and
 * the progress of the run. The cursor is always visible, at the start of the line below: no end of the run, not even
 * SIGKILL, leaves anything to restore.
 */
export function liveRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const view = new RunView();
  const { style } = terminal;
  const { symbols } = style;
  const running = new Map<string, Running>();
  const counts = { done: 0, failed: 0, skipped: 0 };
  let drawn: readonly string[] = [];
  let drawnColumns = 0;
  let frame = 0;
  let paused = false;
  let suspended = false;
  const timer = setInterval(() => {
    frame += 1;
    redraw('');
  }, frameMs);
  // The view must not keep the process running.
  timer.unref();
  const onResize = (): void => redraw('');
  process.on('SIGWINCH', onResize);
  const forgetSuspend = onSuspend({
    hide: () => {
      hide();
      terminal.flush?.();
      suspended = true;
    },
    show: () => {
      suspended = false;
      redraw('');
    },
  });

  /** Writes lines above the running tasks. */
  function redraw(above: string): void {
    if (paused || suspended) {
      terminal.err(above);
      return;
    }
    const columns = Math.max(1, terminal.columns());
    const rows = currentRows(columns - 1);
    const erase = eraseDrawn(columns);
    if (above === '' && erase === '' && rows.length === 0) return;
    terminal.err(erase + above + rows.map((row) => `${row.text}\n`).join(''));
    drawn = rows.map((row) => row.plain);
    drawnColumns = columns;
  }

  /** On a terminal that became narrower, rows take several lines. */
  function eraseDrawn(columns: number): string {
    if (drawn.length === 0) return '';
    const narrower = columns < drawnColumns;
    const lines = drawn.reduce((sum, row) => sum + (narrower ? linesOf(row, columns) : 1), 0);
    // Lines that scrolled out are out of reach, and the cursor stops at the top.
    return `\u001B[${Math.min(lines, height() - 1)}A\r\u001B[0J`;
  }

  function height(): number {
    return Math.max(2, terminal.rows?.() ?? 24);
  }

  /** Rows fit the width, since a wrapped one could not be erased, and the terminal's height. */
  function currentRows(width: number): Row[] {
    if (running.size === 0) return [];
    // Leaves lines for the cursor, the counts and what scrolls by.
    const room = Math.max(1, Math.min(listed, height() - 3));
    const shown = running.size > room ? Math.max(1, room - 1) : running.size;
    const rows = [...running].slice(0, shown).map(([id, state]) => runningRow(id, state, width));
    if (running.size > shown) rows.push(dimRow(`  and ${running.size - shown} more`, width));
    if (height() > 3 && view.size > 1) rows.push(dimRow(countsText(), width));
    return rows;
  }

  function runningRow(id: string, state: Running, width: number): Row {
    const time = formatDuration(Date.now() - state.since);
    const symbol = symbols.running[frame % symbols.running.length] ?? '';
    const label = cutText(view.label(id), width - textWidth(symbol) - time.length - 2, symbols.ellipsis);
    const progress = view.running.get(id);
    const bar = width < narrow ? '' : (progress?.bar(Math.min(24, Math.floor(width / 8)), style) ?? '');
    const parts = [symbol, label, time, bar, progress?.text(Date.now()) ?? ''];
    const head = cutText(parts.filter((part) => part !== '').join(' '), width, '');
    const left = width - textWidth(head) - 1;
    const text = left < leastText ? '' : cutText(plainText(state.text), left, symbols.ellipsis);
    if (text === '') return { text: style.cyan(head), plain: head };
    return { text: `${style.cyan(head)} ${style.dim(text)}`, plain: `${head} ${text}` };
  }

  function dimRow(text: string, width: number): Row {
    const shown = cutText(text, width, symbols.ellipsis);
    return { text: style.dim(shown), plain: shown };
  }

  function countsText(): string {
    const parts = [`${counts.done} of ${view.size} done`, `${running.size} running`];
    if (counts.failed > 0) parts.push(`${counts.failed} failed`);
    if (counts.skipped > 0) parts.push(`${counts.skipped} not started`);
    if (view.next !== undefined) parts.push(`next: ${view.next}`);
    return `  ${parts.join(', ')}`;
  }

  function onEvent(event: RunEvent): void {
    view.note(event);
    if (event.type === 'task-started') running.set(event.id, { since: event.at, text: '' });
    if (event.type === 'task-skipped') counts.skipped += 1;
    const state = 'id' in event && event.id !== undefined ? running.get(event.id) : undefined;
    const own = event.type === 'task-progress' ? event.text : taskLine(event, style, verbose);
    if (own !== undefined && state !== undefined && own.trim() !== '')
      state.text = ownBeginning(own, longestText);
    if (event.type === 'task-result') {
      hide();
      terminal.out(event.text);
      redraw('');
    }
    const line = runLine(event, view, style);
    if (line !== undefined) redraw(`${line}\n`);
    if (isEnd(event)) {
      running.delete(event.id);
      if (event.type === 'task-done') counts.done += 1;
      if (event.type === 'task-failed') counts.failed += 1;
      redraw(endLine(event, view, style, verbose));
    }
  }

  function hide(): void {
    const erase = eraseDrawn(Math.max(1, terminal.columns()));
    if (erase !== '') terminal.err(erase);
    drawn = [];
  }

  return {
    onEvent,
    pause: () => {
      hide();
      // Before the child that gets the terminal writes to it.
      terminal.flush?.();
      paused = true;
    },
    resume: () => {
      paused = false;
    },
    close: () => {
      clearInterval(timer);
      process.removeListener('SIGWINCH', onResize);
      forgetSuspend();
      hide();
    },
  };
}
