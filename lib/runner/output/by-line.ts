import type { Renderer, RunEvent } from '../events.ts';
import type { PageRow } from '../task.ts';
import { Frame, lastPage, pageRows } from './frame.ts';
import { isEnd, RunView } from './lines.ts';
import type { Terminal } from './terminal.ts';

/**
 * Each line as it comes; for a run of a single task, whose output is all there is. On a terminal its page is in place.
 */
export function plainRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  const view = new RunView(style, verbose);
  const isInPlace = terminal.isTerminal && !terminal.isPiped;
  const pages = (): PageRow[] => (isInPlace ? [...view.running.values()].flatMap(({ page }) => page) : []);
  const frame = new Frame(terminal, (width, height) => pageRows(pages(), width, height, style));
  const line = (text: string): void => frame.redraw(`${text}\n`);
  return Object.assign(frame, {
    onEvent: (event: RunEvent) => {
      if (event.type === 'task-result') frame.hide();
      if (event.type === 'task-page' && isInPlace) {
        view.note(event);
        frame.redraw();
        return;
      }
      const page = isInPlace && isEnd(event) ? view.running.get(event.id)?.page : undefined;
      if (event.type === 'task-started' && view.size > 1)
        line(`${style.cyan(style.symbols.arrow)} ${view.label(event.id)}`);
      view.tell(event, terminal, {
        own: line,
        about: line,
        end: (ended) => {
          if (page?.length) frame.redraw(lastPage(page, terminal));
          if (view.size > 1) line(view.endText(ended));
        },
      });
    },
  });
}

const widest = 28;

/** Each line as it comes, after its task's name. */
export function prefixedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  const view = new RunView(style, verbose);
  const write = (id: string, line: string): void => {
    // On a narrow terminal, names take at most a third.
    const limit = Math.max(8, Math.min(widest, Math.floor(terminal.columns() / 3)));
    const width = Math.min(limit, view.widest);
    const name = view.label(id).slice(0, width).padEnd(width);
    if (line !== '') terminal.err(`${style.cyan(`${name} ${style.symbols.bar} `)}${line}`);
  };
  return {
    onEvent: (event) =>
      view.tell(event, terminal, {
        own: (line, id) => write(id, `${line}\n`),
        about: (line) => terminal.err(`${line}\n`),
        end: (ended) => write(ended.id, view.endLine(ended)),
      }),
  };
}

/** Each event as a line of JSON on stderr; results go to stdout as always. */
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

/** Hides arguments in an id, which may be secret, and keeps the task's name. */
function hideArguments(id: unknown, redact: (text: string) => string): unknown {
  if (Array.isArray(id)) return id.map((one) => hideArguments(one, redact));
  return typeof id === 'string' ? id.replace(/ .*/s, redact) : id;
}
