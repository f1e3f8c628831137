import { randomBytes } from 'node:crypto';
import type { Renderer } from '../events.ts';
import { isSet, type OutputMode } from '../global-options.ts';
import { nestingLevel } from '../nesting.ts';
import { groupedRenderer } from './blocks.ts';
import { jsonRenderer, plainRenderer, prefixedRenderer } from './by-line.ts';
import { githubRenderer, gitlabRenderer } from './github.ts';
import { liveRenderer } from './live.ts';
import type { Terminal } from './terminal.ts';

/**
 * The renderer for a mode. `auto`: in jobs of GitHub Actions and GitLab CI their own; a single task prints directly;
 * several are shown live on a terminal (prefixed with `verbose`, to show all lines; grouped with CI set, since nobody
 * watches), otherwise grouped.
 */
export function createRenderer(
  mode: OutputMode,
  terminal: Terminal,
  verbose: boolean,
  nodes: number,
  { env, redact }: { readonly env: NodeJS.ProcessEnv; readonly redact: (text: string) => string },
): Renderer {
  switch (mode) {
    case 'auto': {
      const found = detected(terminal, env);
      if (found === 'gitlab' && nodes === 1) return plainRenderer(terminal, verbose);
      if (found !== undefined) return createRenderer(found, terminal, verbose, nodes, { env, redact });
      if (nodes === 1) return plainRenderer(terminal, verbose);
      if (!terminal.isTerminal || isSet(env.CI)) return groupedRenderer(terminal, verbose);
      return verbose ? prefixedRenderer(terminal, verbose) : liveRenderer(terminal, verbose);
    }
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
    case 'github': {
      const root = env.GITHUB_WORKSPACE || process.cwd();
      return githubRenderer(terminal, verbose, {
        root,
        token: randomBytes(20).toString('hex'),
        single: nodes === 1,
      });
    }
    case 'gitlab':
      return gitlabRenderer(terminal, verbose);
    default: {
      const never: never = mode;
      throw new Error(`unknown output mode ${String(never)}`);
    }
  }
}

/**
 * The CI system whose job log this run writes. Undefined for a nested run, whose lines belong to a task, and for a
 * log on a terminal.
 */
function detected(terminal: Terminal, env: NodeJS.ProcessEnv): 'github' | 'gitlab' | undefined {
  if (terminal.isTerminal || nestingLevel() > 0) return undefined;
  if (env.GITHUB_ACTIONS === 'true') return 'github';
  return env.GITLAB_CI === 'true' ? 'gitlab' : undefined;
}
