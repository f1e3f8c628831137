import { randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import type { Place } from '../call-site.ts';
import type { Renderer } from '../events.ts';
import { type EndEvent, RunView } from './lines.ts';
import type { Terminal } from './terminal.ts';
import { Newest } from './text.ts';

/** Limits for a task that waits for its block. */
const kept = { lines: 5000, characters: 4 << 20 };

/** The format of a block. All texts end with a line break or are empty. */
type BlockFormat = {
  /** `again`: the task had a block before. `ended`: its result, if all lines come at once. */
  readonly open: (label: string, again: boolean, ended: EndEvent | undefined) => string;
  readonly indent?: string;
  readonly close?: () => string;
  /** After the line with a task's result. */
  readonly afterEnd?: (event: EndEvent) => string;
};

/**
 * One block per task, shown when it ends. A task that runs alone is shown immediately: nothing can mix with its
 * lines, and a long build in CI must not look dead.
 */
function blockRenderer(
  terminal: Terminal,
  verbose: boolean,
  formatOf: (view: RunView) => BlockFormat,
): Renderer {
  const view = new RunView(terminal.style, verbose);
  const format = formatOf(view);
  const waiting = new Map<string, Newest<string>>();
  const opened = new Set<string>();
  let open: string | undefined;

  const close = (): void => {
    if (open !== undefined) terminal.err(format.close?.() ?? '');
    open = undefined;
  };
  const write = (id: string, lines: readonly string[], ended?: EndEvent): void => {
    if (lines.length === 0) return;
    if (open !== id) {
      close();
      terminal.err(format.open(view.label(id), opened.has(id), ended));
      opened.add(id);
      open = id;
    }
    terminal.err(lines.map((line) => `${format.indent ?? ''}${line}\n`).join(''));
  };
  const flush = (id: string, ended?: EndEvent): void => {
    const { lines, dropped } = waiting.get(id)?.kept() ?? { lines: [], dropped: 0 };
    write(id, dropped === 0 ? lines : [`(${dropped} lines left out)`, ...lines], ended);
    waiting.delete(id);
  };
  const to = {
    own: (line: string, id: string): void => {
      const lines = waiting.get(id) ?? new Newest(kept);
      lines.add(line, line.length);
      waiting.set(id, lines);
      if (view.running.size === 1) flush(id);
    },
    about: (line: string): void => {
      close();
      terminal.err(`${line}\n`);
    },
    end: (event: EndEvent): void => {
      flush(event.id, event);
      close();
      terminal.err(view.endLine(event) + (format.afterEnd?.(event) ?? ''));
      if (view.running.size === 1) for (const id of view.running.keys()) flush(id);
    },
  };
  return {
    onEvent: (event) => view.tell(event, terminal, to),
    close: () => {
      for (const id of waiting.keys()) flush(id);
      close();
    },
  };
}

/** Blocks below their task's name, indented. */
export function groupedRenderer(terminal: Terminal, verbose: boolean): Renderer {
  const { style } = terminal;
  return blockRenderer(terminal, verbose, () => ({
    open: (label) => `${style.cyan(`${style.symbols.arrow} ${label}`)}\n`,
    indent: '  ',
  }));
}

/**
 * Blocks as groups in GitHub Actions' log, with an annotation at the declaration of each failed task. Children's
 * output is plain text: workflow commands are turned off (`::stop-commands::`), since a line that looks like one
 * could set outputs or hide text. Secrets are not passed to `::add-mask::`, which would print them: the log never has
 * them. A `single` task needs no group; annotations are relative to the repository's folder `root`. Source:
 * https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function githubRenderer(
  terminal: Terminal,
  verbose: boolean,
  single: boolean,
  root: string,
): Renderer {
  // Turns workflow commands on again, so it must stay secret.
  const token = randomBytes(20).toString('hex');
  return blockRenderer(terminal, verbose, (view) => ({
    open: (label, again) => {
      const group = single ? '' : `::group::${escapeData(again ? `${label} (continued)` : label)}\n`;
      return `${group}::stop-commands::${token}\n`;
    },
    close: () => `::${token}::\n${single ? '' : '::endgroup::\n'}`,
    afterEnd: (event) => {
      if (event.type !== 'task-failed') return '';
      const { what, why, advice } = event.failure;
      const message = [what, why, advice].filter((text) => text !== undefined).join('\n');
      const title = `title=${escapeProperty(view.label(event.id))}`;
      return `::error ${placeOf(view.place(event.id), root)}${title}::${escapeData(message)}\n`;
    },
  }));
}

/** Empty for a task declared outside the repository. */
function placeOf(place: Place | undefined, root: string): string {
  const path = place === undefined ? '' : relative(root, place.file);
  if (place === undefined || path === '' || path.startsWith('..')) return '';
  return `file=${escapeProperty(path)},line=${place.line},`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/**
 * Blocks as sections of GitLab's job log, collapsed for successful tasks. Children cannot open or close one: a marker
 * needs a carriage return, which ends their line. Source:
 * https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections; names may have letters, digits, `_.-`.
 */
export function gitlabRenderer(terminal: Terminal, verbose: boolean): Renderer {
  let sections = 0;
  let section = '';
  const marker = (kind: 'start' | 'end', at: number, flags = ''): string =>
    `\u001B[0Ksection_${kind}:${Math.floor(at / 1000)}:${section}${flags}\r\u001B[0K`;
  return blockRenderer(terminal, verbose, (view) => ({
    open: (label, again, ended) => {
      sections += 1;
      // Unique by the number in the run, by the time in the job.
      section = `task_${sections}_${view.at}_${label.replace(/[^\w.-]+/g, '_').slice(0, 60)}`;
      const start = marker('start', view.at, ended?.type === 'task-done' ? '[collapsed=true]' : '');
      return `${start}${terminal.style.cyan(again ? `${label} (continued)` : label)}\n`;
    },
    close: () => `${marker('end', view.at)}\n`,
  }));
}
