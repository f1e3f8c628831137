import type { Renderer, RunEvent } from '../events.ts';
import { formatDuration } from '../format.ts';
import { Frame, lastPage, pageRows } from './frame.ts';
import { isEnd, RunView } from './lines.ts';
import type { Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { cutText, ownBeginning, plainText, textWidth } from './text.ts';

const frameMs = 100;
/** Up to this many running tasks are listed, fewer on a low terminal; the rest is counted. */
const listed = 12;
/** Characters considered for each frame, more than any terminal's width. */
const longestText = 2000;
/** No bars below this width. */
const narrow = 60;
/** A last line with less room is not shown. */
const leastText = 8;

/**
 * For a terminal: finished tasks scroll by as single lines, above the running ones with their time and last line and
 * the progress of the run.
 */
export function liveRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  const view = new RunView(style, verbose);
  const { symbols } = style;
  const { running } = view;
  const counts = { done: 0, failed: 0, skipped: 0 };
  const frame = new Frame(terminal, currentRows, frameMs);
  return Object.assign(frame, { onEvent });

  function currentRows(width: number, height: number): string[] {
    if (running.size === 0) return [];
    // Leaves lines for the cursor, the counts and what scrolls by.
    const room = Math.max(1, Math.min(listed, height - 2));
    const shown = running.size > room ? Math.max(1, room - 1) : running.size;
    const rows = [...running].slice(0, shown).map(([id, state]) => runningRow(id, state, width));
    for (const { page } of running.values())
      rows.push(...pageRows(page, width, height - 2 - rows.length, style));
    const note = (text: string): unknown => rows.push(style.dim(cutText(text, width, symbols.ellipsis)));
    if (running.size > shown) note(`  and ${running.size - shown} more`);
    if (height > 2 && view.size > 1) note(countsText());
    return rows;
  }

  function runningRow(id: string, progress: Progress, width: number): string {
    const time = formatDuration(Date.now() - progress.startedAt);
    const symbol = symbols.running[Math.floor(Date.now() / frameMs) % symbols.running.length] ?? '';
    const label = cutText(view.label(id), width - textWidth(symbol) - time.length - 2, symbols.ellipsis);
    const bar = width < narrow ? '' : progress.bar(Math.min(24, Math.floor(width / 8)), style);
    const parts = [symbol, label, time, bar, progress.text(Date.now())];
    const head = cutText(parts.filter((part) => part !== '').join(' '), width, '');
    const left = width - textWidth(head) - 1;
    const text = left < leastText ? '' : cutText(plainText(progress.said), left, symbols.ellipsis);
    return `${style.cyan(head)} ${style.dim(text)}`.trimEnd();
  }

  function countsText(): string {
    const parts = [`${counts.done} of ${view.size} done`, `${running.size} running`];
    if (counts.failed > 0) parts.push(`${counts.failed} failed`);
    if (counts.skipped > 0) parts.push(`${counts.skipped} not started`);
    if (view.next !== undefined) parts.push(`next: ${view.next}`);
    return `  ${parts.join(', ')}`;
  }

  function onEvent(event: RunEvent): void {
    const state = 'id' in event ? running.get(event.id) : undefined;
    view.note(event);
    if (event.type === 'task-skipped') counts.skipped += 1;
    if (event.type === 'task-page') frame.redraw();
    const own = event.type === 'task-progress' ? event.text : view.ownLine(event);
    if (own !== undefined && state !== undefined && own.trim() !== '')
      state.said = ownBeginning(own, longestText);
    if (event.type === 'task-result') {
      frame.hide();
      terminal.out(event.text);
      frame.redraw();
    }
    const line = view.runLine(event);
    if (line !== undefined) frame.redraw(`${line}\n`);
    if (isEnd(event)) {
      if (event.type === 'task-done') counts.done += 1;
      if (event.type === 'task-failed') counts.failed += 1;
      frame.redraw(lastPage(state?.page ?? [], terminal) + view.endLine(event));
    }
  }
}
