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
