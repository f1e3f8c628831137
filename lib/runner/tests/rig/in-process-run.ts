import { Children } from '../../children.ts';
import type { RunEvent } from '../../events.ts';
import type { FailureMode } from '../../global-options.ts';
import { type RunnerSettings, runnerSettings } from '../../global-options.ts';
import type { Graph } from '../../node.ts';
import { Redactor } from '../../redact.ts';
import { runTasks } from '../../run-tasks.ts';
import { Stop } from '../../stop.ts';
import { logOf } from './events.ts';

export type InProcessRun = {
  readonly stop: Stop;
  readonly events: RunEvent[];
  readonly exitCode: Promise<number>;
  /** All that was written on stderr. */
  readonly stderr: () => string;
};

/** A whole run in this process, without a command line and without commands; signals are given by `stop.begin`. */
export function runInProcess(
  graph: Graph,
  jobs: number,
  failureMode: FailureMode,
  // No folder can be made there: nothing is remembered.
  { memory = '/dev/null/memory', ...more }: Partial<RunnerSettings> & { readonly memory?: string } = {},
): InProcessRun {
  const children = new Children();
  const stop = new Stop(children);
  const events: RunEvent[] = [];
  const log = logOf();
  const settings = { ...runnerSettings({ jobs, failure: failureMode }), output: 'json', ...more } as const;
  const exitCode = runTasks({
    graph,
    settings,
    children,
    stop,
    redactor: new Redactor(),
    terminal: {
      ...log,
      err: (text) => {
        log.err(text);
        if (settings.output === 'json') events.push(JSON.parse(text));
      },
    },
    shell: undefined,
    locks: [],
    memory,
  }).finally(() => children.close());
  return { stop, events, exitCode, stderr: () => log.shown };
}
