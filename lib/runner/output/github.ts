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
