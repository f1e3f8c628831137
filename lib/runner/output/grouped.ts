import type { Renderer } from '../events.ts';
import { blockRenderer } from './blocks.ts';
import type { Terminal } from './terminal.ts';

/** Blocks under the name of their task, indented. */
export function groupedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  return blockRenderer(terminal, verbose, {
    open: (_id, label) => `${style.cyan(`${style.symbols.arrow} ${label}`)}\n`,
    line: (line) => `  ${line}\n`,
    close: () => '',
    afterEnd: () => '',
  });
}
