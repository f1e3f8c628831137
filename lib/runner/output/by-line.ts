import type { Renderer } from '../events.ts';
import { endLine, isEnd, RunView, runLine, taskLine } from './lines.ts';
import type { Terminal } from './terminal.ts';

/** Every line as it comes. A run of a single task shows nothing else: its output is the output. */
export function plainRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const view = new RunView();
  const { style } = terminal;
  return {
    onEvent: (event) => {
      view.note(event);
      if (event.type === 'task-result') terminal.out(event.text);
      const line = taskLine(event, style, verbose) ?? runLine(event, view, style);
      if (line !== undefined) terminal.err(`${line}\n`);
      if (view.size < 2) return;
      if (event.type === 'task-started')
        terminal.err(`${style.cyan(style.symbols.arrow)} ${view.label(event.id)}\n`);
      if (isEnd(event)) terminal.err(`${endLine(event, view, style)}\n`);
    },
  };
}

const widest = 28;

/** Every line as it comes, behind the name of its task. */
export function prefixedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const view = new RunView();
  const { style } = terminal;
  const prefix = (id: string): string => {
    // On a narrow terminal the names take at most a third of it.
    const limit = Math.max(8, Math.min(widest, Math.floor(terminal.columns() / 3)));
    const width = Math.min(limit, view.widest);
    return style.cyan(`${view.label(id).slice(0, width).padEnd(width)} ${style.symbols.bar} `);
  };
  return {
    onEvent: (event) => {
      view.note(event);
      if (event.type === 'task-result') terminal.out(event.text);
      const own = taskLine(event, style, verbose);
      if (own !== undefined && 'id' in event) terminal.err(`${prefix(event.id)}${own}\n`);
      const line = runLine(event, view, style);
      if (line !== undefined) terminal.err(`${line}\n`);
      if (isEnd(event)) terminal.err(`${prefix(event.id)}${endLine(event, view, style)}\n`);
    },
  };
}

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
