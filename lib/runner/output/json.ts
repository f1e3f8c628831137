import type { Renderer } from '../events.ts';
import type { Terminal } from './terminal.ts';

/** Every event as one line of JSON on stderr; results are on stdout as always. */
export function jsonRenderer(terminal: Terminal): Renderer {
  return {
    onEvent: (event) => {
      if (event.type === 'task-result') terminal.out(event.text);
      const nodes =
        event.type === 'run-started'
          ? event.nodes.map(({ place, ...node }) => ({ ...node, file: place().file, line: place().line }))
          : undefined;
      terminal.err(`${JSON.stringify({ ...event, nodes })}\n`);
    },
  };
}
