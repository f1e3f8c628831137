import { relative } from 'node:path';
import type { NodeSummary, Renderer } from '../events.ts';
import { blockRenderer } from './blocks.ts';
import type { Terminal } from './terminal.ts';

export type GitHubOptions = {
  /** The folder of the repository: annotations name files relative to it. */
  readonly root: string;
  /** Ends what stops workflow commands. Nobody else may know it. */
  readonly token: string;
  /** A single task needs no group around its lines. */
  readonly single: boolean;
};

/**
 * Blocks as groups of GitHub Actions' log, and an annotation at the task's declaration for each failure. What children print
 * is text and nothing else: the runner is told to take no commands from it (`::stop-commands::`), since a line of a log that
 * happens to look like one could set outputs or hide text. Secrets are not told to GitHub by `::add-mask::`, which would
 * print them: they never get into the log at all.
 * Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function githubRenderer(terminal: Terminal, verbose: boolean, options: GitHubOptions): Renderer {
  const { root, token, single } = options;
  const nodes = new Map<string, NodeSummary>();
  return blockRenderer(terminal, verbose, {
    note: (event) => {
      if (event.type === 'run-started') for (const node of event.nodes) nodes.set(node.id, node);
    },
    open: (_id, label, again) => {
      const group = single ? '' : `::group::${escapeData(again ? `${label} (continued)` : label)}\n`;
      return `${group}::stop-commands::${token}\n`;
    },
    line: (line) => `${line}\n`,
    close: () => `::${token}::\n${single ? '' : '::endgroup::\n'}`,
    afterEnd: (event, view) => {
      if (event.type !== 'task-failed') return '';
      const { what, why, advice } = event.failure;
      const message = [what, ...(why === undefined ? [] : [why]), ...(advice === undefined ? [] : [advice])];
      const place = placeOf(nodes.get(event.id), root);
      const title = `title=${escapeProperty(view.label(event.id))}`;
      return `::error ${place}${title}::${escapeData(message.join('\n'))}\n`;
    },
  });
}

/** Nothing for a task that is declared outside of the repository. */
function placeOf(node: NodeSummary | undefined, root: string): string {
  const place = node?.place();
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
 * Blocks as sections of GitLab's job log; those of tasks that went well are collapsed. Children cannot open or close one:
 * a marker needs a carriage return, which ends a line of theirs.
 * Source: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections; names may have letters, digits, `_.-`.
 */
export function gitlabRenderer(terminal: Terminal, verbose: boolean): Renderer {
  let sections = 0;
  let section = '';
  let now = 0;
  const marker = (kind: 'start' | 'end', flags = ''): string =>
    `\u001B[0Ksection_${kind}:${Math.floor(now / 1000)}:${section}${flags}\r\u001B[0K`;
  return blockRenderer(terminal, verbose, {
    note: (event) => {
      now = event.at;
    },
    open: (_id, label, again, ended) => {
      sections += 1;
      // The number makes it unique in the run, the time in the job.
      section = `task_${sections}_${now}_${label.replace(/[^\w.-]+/g, '_').slice(0, 60)}`;
      const start = marker('start', ended?.type === 'task-done' ? '[collapsed=true]' : '');
      return `${start}${terminal.style.cyan(again ? `${label} (continued)` : label)}\n`;
    },
    line: (line) => `${line}\n`,
    close: () => `${marker('end')}\n`,
    afterEnd: () => '',
  });
}
