import { Children } from '../../lib/runner/children.ts';
import type { RunEvent } from '../../lib/runner/events.ts';
import { runnerSettings } from '../../lib/runner/global-options.ts';
import type { Graph } from '../../lib/runner/node.ts';
import { createStyle } from '../../lib/runner/output/terminal.ts';
import { Redactor } from '../../lib/runner/redact.ts';
import { runTasks } from '../../lib/runner/run-tasks.ts';
import type { FailureMode } from '../../lib/runner/schedule.ts';
import { Stop } from '../../lib/runner/stop.ts';

export type InProcessRun = {
  readonly stop: Stop;
  readonly events: RunEvent[];
  readonly exitCode: Promise<number>;
};

/** A whole run in this process, without a command line and without commands; signals are given by `stop.begin`. */
export function runInProcess(graph: Graph, jobs: number, failureMode: FailureMode): InProcessRun {
  const children = new Children();
  const stop = new Stop(children);
  const events: RunEvent[] = [];
  const exitCode = runTasks({
    graph,
    settings: { ...runnerSettings({ jobs, failure: failureMode }), output: 'json' },
    children,
    stop,
    redactor: new Redactor(),
    terminal: {
      out: () => {},
      err: (text) => void events.push(JSON.parse(text)),
      isTerminal: false,
      columns: () => 80,
      style: createStyle(false, true),
    },
    shell: undefined,
    lock: undefined,
    // No folder can be made there: nothing is remembered.
    memory: '/dev/null/memory',
  }).finally(() => children.close());
  return { stop, events, exitCode };
}
