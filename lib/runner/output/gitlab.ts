import type { Renderer } from '../events.ts';
import { blockRenderer } from './blocks.ts';
import type { Terminal } from './terminal.ts';

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
