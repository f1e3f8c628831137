import type { PageRow } from '../task.ts';
import type { Style, Terminal } from './terminal.ts';
import { cutText, plainText } from './text.ts';

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
