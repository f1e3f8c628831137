import { randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import type { Place } from '../call-site.ts';
import type { Renderer } from '../events.ts';
import { blockRenderer } from './blocks.ts';
import type { Terminal } from './terminal.ts';

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
