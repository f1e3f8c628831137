import type { Renderer } from '../events.ts';
import type { Terminal } from './terminal.ts';

/** Every event as one line of JSON on stderr; results are on stdout as always. */
export function jsonRenderer(terminal: Terminal, redact: (text: string) => string): Renderer {
  const hide = (name: string, value: unknown): unknown =>
    name === 'id' || name === 'because' || name === 'needs' ? hideArguments(value, redact) : value;
  return {
    onEvent: (event) => {
      if (event.type === 'task-result') terminal.out(event.text);
      const nodes =
        event.type === 'run-started'
          ? event.nodes.map(({ place, ...node }) => ({ ...node, file: place().file, line: place().line }))
          : undefined;
      terminal.err(`${JSON.stringify({ ...event, nodes }, hide)}\n`);
    },
  };
}

/** Ids hold arguments, which may be secret; the name of the task in front of them stays. */
function hideArguments(id: unknown, redact: (text: string) => string): unknown {
  if (Array.isArray(id)) return id.map((one) => hideArguments(one, redact));
  return typeof id === 'string' ? id.replace(/ .*/s, redact) : id;
}
