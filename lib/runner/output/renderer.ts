import { nestingLevel } from '../children.ts';
import type { Renderer } from '../events.ts';
import { isSet, type OutputMode } from '../global-options.ts';
import { githubRenderer, gitlabRenderer, groupedRenderer } from './blocks.ts';
import { jsonRenderer, plainRenderer, prefixedRenderer } from './by-line.ts';
import { liveRenderer } from './live.ts';
import type { Terminal } from './terminal.ts';

/** The renderer for a mode. `redact` hides secrets in ids. */
export function createRenderer(
  mode: OutputMode,
  terminal: Terminal,
  verbose: boolean,
  nodes: number,
  { env, redact }: { readonly env: NodeJS.ProcessEnv; readonly redact: (text: string) => string },
): Renderer {
  switch (mode === 'auto' ? suitedMode(terminal, verbose, nodes, env) : mode) {
    case 'live':
      // Only a terminal can be redrawn.
      return terminal.isTerminal ? liveRenderer(terminal, verbose) : groupedRenderer(terminal, verbose);
    case 'grouped':
      return groupedRenderer(terminal, verbose);
    case 'prefixed':
      return prefixedRenderer(terminal, verbose);
    case 'plain':
      return plainRenderer(terminal, verbose);
    case 'json':
      return jsonRenderer(terminal, redact);
    case 'github':
      return githubRenderer(terminal, verbose, nodes === 1, env.GITHUB_WORKSPACE || process.cwd());
    case 'gitlab':
      return gitlabRenderer(terminal, verbose);
  }
}

/**
 * In jobs of GitHub Actions and GitLab CI their own, except in a nested run, whose lines belong to a task, and for a
 * log on a terminal. A single task prints directly; several are shown live on a terminal (prefixed with `verbose`, to
 * show all lines; grouped with CI set, since nobody watches), otherwise grouped.
 */
function suitedMode(
  { isTerminal }: Terminal,
  verbose: boolean,
  nodes: number,
  env: NodeJS.ProcessEnv,
): Exclude<OutputMode, 'auto'> {
  const isJobLog = !isTerminal && nestingLevel() === 0;
  if (isJobLog && env.GITHUB_ACTIONS === 'true') return 'github';
  if (nodes === 1) return 'plain';
  if (isJobLog && env.GITLAB_CI === 'true') return 'gitlab';
  if (!isTerminal || isSet(env.CI)) return 'grouped';
  return verbose ? 'prefixed' : 'live';
}
