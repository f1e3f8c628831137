import { stripVTControlCharacters } from 'node:util';
import { onSuspend } from '../suspend.ts';
import type { PageRow } from '../task.ts';
import type { Style, Terminal } from './terminal.ts';
import { cutText, plainText, textWidth } from './text.ts';

/** The lines of a page, names before texts. */
export function pageLines(page: readonly PageRow[]): string[] {
  const width = Math.max(0, ...page.map(({ name }) => name.length));
  return page.map(({ name, text }) => `${name.padEnd(width)}  ${plainText(text)}`.trimEnd());
}

/** A page on a terminal; rows that have no room are counted. */
export function pageRows(page: readonly PageRow[], width: number, height: number, style: Style): string[] {
  const cut = (text: string): string => cutText(text, width, style.symbols.ellipsis);
  const rows = pageLines(page).map((line, index) => {
    const tone = page[index]?.tone;
    return tone === undefined ? cut(line) : style[tone === 'bad' ? 'red' : 'dim'](cut(line));
  });
  if (rows.length <= height) return rows;
  const shown = Math.max(0, height - 1);
  return [...rows.slice(0, shown), style.dim(cut(`and ${rows.length - shown} more`))].slice(0, height);
}

/** The last page of a task, to stay above what follows. */
export const lastPage = (page: readonly PageRow[], { columns, style }: Terminal): string =>
  pageRows(page, columns() - 1, page.length, style)
    .map((row) => `${row}\n`)
    .join('');

/** At most `height` rows of at most `width` columns: a wrapped one, or one out of reach, could not be erased. */
type RowsFor = (width: number, height: number) => readonly string[];

/**
 * Rows at the end of what a terminal shows, drawn again in place. The cursor is always visible, at the start of the
 * line below: no end of the run, not even SIGKILL, leaves anything to restore.
 */
export class Frame {
  readonly #terminal: Terminal;
  readonly #rows: RowsFor;
  #drawn: readonly string[] = [];
  /** How often it was paused and not resumed. */
  #pauses = 0;
  readonly #draw = (): void => this.redraw();
  readonly #forgetSuspend: () => void;
  readonly #timer: NodeJS.Timeout | undefined;

  /** With `everyMs` it is drawn again by itself, which does not keep the process running. */
  constructor(terminal: Terminal, rows: RowsFor, everyMs?: number) {
    this.#terminal = terminal;
    this.#rows = rows;
    if (everyMs !== undefined) this.#timer = setInterval(this.#draw, everyMs).unref();
    process.on('SIGWINCH', this.#draw);
    this.#forgetSuspend = onSuspend({
      hide: () => this.pause(),
      show: () => {
        this.resume();
        this.redraw();
      },
    });
  }

  get #height(): number {
    return Math.max(2, this.#terminal.rows?.() ?? 24);
  }

  /** Draws the current rows, with lines that stay above them. */
  redraw(above = ''): void {
    if (this.#pauses > 0) {
      this.#terminal.err(above);
      return;
    }
    const columns = Math.max(1, this.#terminal.columns());
    const rows = this.#rows(columns - 1, this.#height - 1);
    const erase = this.#erase(columns);
    if (above === '' && erase === '' && rows.length === 0) return;
    this.#terminal.err(erase + above + rows.map((row) => `${row}\n`).join(''));
    this.#drawn = rows;
  }

  /** On a terminal that became narrower, rows take several lines. */
  #erase(columns: number): string {
    if (this.#drawn.length === 0) return '';
    const linesNow = (row: string): number =>
      Math.max(1, Math.ceil(textWidth(stripVTControlCharacters(row)) / columns));
    const lines = this.#drawn.reduce((sum, row) => sum + linesNow(row), 0);
    // Lines that scrolled out are out of reach, and the cursor stops at the top.
    return `\u001B[${Math.min(lines, this.#height - 1)}A\r\u001B[0J`;
  }

  hide(): void {
    const erase = this.#erase(Math.max(1, this.#terminal.columns()));
    if (erase !== '') this.#terminal.err(erase);
    this.#drawn = [];
  }

  pause(): void {
    this.hide();
    // Before the shell, or the child that gets the terminal, writes to it.
    this.#terminal.flush?.();
    this.#pauses += 1;
  }

  resume(): void {
    this.#pauses -= 1;
  }

  close(): void {
    clearInterval(this.#timer);
    process.removeListener('SIGWINCH', this.#draw);
    this.#forgetSuspend();
    this.hide();
  }
}
