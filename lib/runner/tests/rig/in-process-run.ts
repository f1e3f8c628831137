import { Children } from '../../children.ts';
import type { RunEvent } from '../../events.ts';
import { type RunnerSettings, runnerSettings } from '../../global-options.ts';
import type { Graph } from '../../node.ts';
import { Redactor } from '../../redact.ts';
import { runTasks } from '../../run-tasks.ts';
import { Stop } from '../../stop.ts';
import { logOf } from './events.ts';

/**
 * A whole run in this process, without a command line and without commands; signals are given by `stop.begin`.
 * `stderr()`: all that was written on it.
 */
export function runInProcess(
  graph: Graph,
  jobs: number,
  failureMode: RunnerSettings['failure'],
  // No folder can be made there: nothing is remembered.
  { memory = '/dev/null/memory', ...more }: Partial<RunnerSettings> & { readonly memory?: string } = {},
) {
  const children = new Children();
  const stop = new Stop(children);
  const events: RunEvent[] = [];
  const log = logOf();
  const settings = { ...runnerSettings({ jobs, failure: failureMode }), output: 'json', ...more } as const;
  const err = (text: string): void => {
    log.err(text);
    if (settings.output === 'json') events.push(JSON.parse(text));
  };
  const exitCode = runTasks({
    ...{ graph, settings, children, stop, memory, redactor: new Redactor(), shell: undefined, locks: [] },
    terminal: { ...log, err },
  }).finally(() => children.close());
  return { stop, events, exitCode, stderr: () => log.shown };
}
