import * as assert from 'uvu/assert';
import { Children } from '../../children.ts';
import type { RunEvent } from '../../events.ts';
import { type RunnerSettings, runnerSettings } from '../../global-options.ts';
import type { Graph, TaskNode } from '../../node.ts';
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

const ends = ['done', 'failed', 'interrupted', 'skipped'] as const;
type State = (typeof ends)[number];

/**
 * What must hold in every run, seen from its events: each node ends in exactly one state and runs at most once, its
 * needs are done or ready before, never more than `jobs` at once, no mutex is taken twice, interactive ones run alone,
 * nothing new starts after a failure (by mode) or a stop but finalisers, which come when all else has ended, and
 * long-running processes end after those who need them. Returns the state of each node.
 */
export function checkEvents(
  graph: Graph,
  events: readonly RunEvent[],
  jobs: number,
  mode: RunnerSettings['failure'] = 'no-new',
): Map<TaskNode, State> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const running = new Set<TaskNode>();
  const mutexes = new Set<unknown>();
  const up = new Set<TaskNode>();
  const started = new Set<TaskNode>();
  const states = new Map<TaskNode, State>();
  let closed = false;
  let late = false;
  const isForFinaliser = (node: TaskNode): boolean => {
    const reached = new Set([node]);
    for (const one of reached) for (const dependent of one.dependents) reached.add(dependent);
    return [...reached].some(({ finalises }) => [...finalises].some((owner) => started.has(owner)));
  };
  const leave = (node: TaskNode): void => {
    if (running.delete(node)) mutexes.delete(node.task.mutex);
  };
  const end = (node: TaskNode, state: State): void => {
    assert.not(states.has(node), `two ends of ${node.label}`);
    assert.is(started.has(node), state !== 'skipped', `${node.label} ${state}`);
    leave(node);
    up.delete(node);
    if (state === 'failed' && mode !== 'continue') closed = true;
    if (state === 'done' && !closed) {
      assert.not(node.longRunning?.requested, `${node.label} ended before the run was stopped`);
      for (const keeper of node.longRunning?.keptBy ?? [])
        assert.ok(states.has(keeper), `${node.label} ended before ${keeper.label}`);
    }
    states.set(node, state);
  };
  for (const event of events) {
    if (event.type === 'run-stopping') closed = true;
    const node = 'id' in event ? nodes.get(event.id) : undefined;
    if (node === undefined) continue;
    if (event.type === 'task-started') {
      assert.not(started.has(node) || states.has(node), `twice: ${node.label}`);
      for (const needed of node.needs) {
        const isThere = needed.longRunning === undefined ? states.get(needed) === 'done' : up.has(needed);
        assert.ok(isThere, `${node.label} before ${needed.label}`);
      }
      assert.not(mutexes.has(node.task.mutex), `the mutex of ${node.label} is taken`);
      if (node.task.mutex !== undefined) mutexes.add(node.task.mutex);
      for (const other of running)
        assert.not(other.task.interactive || node.task.interactive, `${node.label} not alone`);
      late ||= node.late;
      if (closed || late) {
        assert.ok(isForFinaliser(node), `${node.label} starts too late`);
        assert.is(running.size + up.size, 0, `${node.label} before all else is over`);
      }
      started.add(node);
      running.add(node);
      assert.ok(running.size <= jobs, 'too many at once');
    }
    if (event.type === 'task-ready') {
      leave(node);
      up.add(node);
    }
    const state = ends.find((state) => event.type === `task-${state}`);
    if (state !== undefined) end(node, state);
  }
  assert.is(states.size, nodes.size, 'lost');
  for (const [node, state] of states) {
    const isWanted = node.needs.size === 0 && [...node.finalises].some((owner) => started.has(owner));
    assert.not(state === 'skipped' && isWanted, `the finaliser ${node.label} was left out`);
  }
  const last = events.at(-1);
  if (last?.type !== 'run-ended') throw new Error(`the last event is ${JSON.stringify(last)}`);
  const all = [...states.values()];
  for (const state of ends) assert.is(last[state], all.filter((other) => other === state).length, state);
  return states;
}
