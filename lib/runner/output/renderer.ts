import type { Renderer } from '../events.ts';
import { groupedRenderer } from './grouped.ts';
import { jsonRenderer } from './json.ts';
import { liveRenderer } from './live.ts';
import type { OutputMode } from './modes.ts';
import { plainRenderer } from './plain.ts';
import { prefixedRenderer } from './prefixed.ts';
import type { Terminal } from './terminal.ts';

/**
 * The renderer for a mode. `auto`: a single task writes straight through; several show live on a terminal (with
 * `verbose` prefixed, since then all lines are wanted) and grouped elsewhere.
 */
export function createRenderer(
  mode: OutputMode,
  terminal: Terminal,
  verbose: boolean,
  nodes: number,
): Renderer {
  switch (mode) {
    case 'auto':
      if (nodes === 1) return plainRenderer(terminal, verbose);
      if (!terminal.isTerminal) return groupedRenderer(terminal, verbose);
      return verbose ? prefixedRenderer(terminal, verbose) : liveRenderer(terminal, verbose);
    case 'live':
      // Without a terminal there is nothing to redraw.
      return terminal.isTerminal ? liveRenderer(terminal, verbose) : groupedRenderer(terminal, verbose);
    case 'grouped':
      return groupedRenderer(terminal, verbose);
    case 'prefixed':
      return prefixedRenderer(terminal, verbose);
    case 'plain':
      return plainRenderer(terminal, verbose);
    case 'json':
      return jsonRenderer(terminal);
    default: {
      const never: never = mode;
      throw new Error(`unknown output mode ${String(never)}`);
    }
  }
}
