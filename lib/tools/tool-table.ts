import type { ToolRow } from './check-tools.ts';

/** The table of `verify-dependencies`: first the tools that the provider needs, then the others. */
export function toolTable(rows: readonly ToolRow[], provider: string): string {
  const needed = rows.filter((row) => row.needed);
  const others = rows.filter((row) => !row.needed);
  return [
    `provider ${provider} needs:`,
    ...lines(needed),
    ...(others.length === 0 ? [] : ['', 'not needed for it:', ...lines(others)]),
  ].join('\n');
}

function lines(rows: readonly ToolRow[]): string[] {
  const cells = rows.map((row) => [
    row.name,
    row.version ?? '-',
    row.state === 'there' ? `${row.source}` : row.state,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  return rows.map((row, index) => {
    const start = (cells[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    return `  ${start}  ${row.path ?? row.how ?? ''}`.trimEnd();
  });
}
