import type { PageRow } from '../task.ts';
import { type Row, rowOf } from './frame.ts';
import type { Style, Terminal } from './terminal.ts';
import { plainText } from './text.ts';

/** The lines of a page, names before texts. */
export function pageLines(page: readonly PageRow[]): string[] {
  const width = Math.max(0, ...page.map(({ name }) => name.length));
  return page.map(({ name, text }) => `${name.padEnd(width)}  ${plainText(text)}`.trimEnd());
}

/** A page on a terminal; rows that have no room are counted. */
export function pageRows(page: readonly PageRow[], width: number, height: number, style: Style): Row[] {
  const rows = pageLines(page).map((line, index) => {
    const tone = page[index]?.tone;
    return rowOf(
      line,
      width,
      style,
      tone === 'bad' ? style.red : tone === 'soft' ? style.dim : (text) => text,
    );
  });
  if (rows.length <= height) return rows;
  const shown = Math.max(0, height - 1);
  return [...rows.slice(0, shown), rowOf(`and ${rows.length - shown} more`, width, style, style.dim)].slice(
    0,
    height,
  );
}

/** The last page of a task, to stay above what follows. */
export const lastPage = (page: readonly PageRow[], { columns, style }: Terminal): string =>
  pageRows(page, columns() - 1, page.length, style)
    .map(({ text }) => `${text}\n`)
    .join('');
