import * as assert from 'uvu/assert';
import type { RunEvent } from '../../events.ts';
import type { Graph, TaskNode } from '../../node.ts';

type State = 'done' | 'failed' | 'interrupted' | 'skipped';

/**
 * What must hold in every run, seen from its events: each node ends in exactly one state and runs at most once, its needs
 * are done or ready before, never more than `jobs` at once, and no mutex is taken twice. Returns the state of each node.
 */
export function checkEvents(graph: Graph, events: readonly RunEvent[], jobs: number): Map<TaskNode, State> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const running = new Set<TaskNode>();
  const mutexes = new Set<unknown>();
  const up = new Set<TaskNode>();
  const started = new Set<TaskNode>();
  const states = new Map<TaskNode, State>();
  const leave = (node: TaskNode): void => {
    if (running.delete(node)) mutexes.delete(node.task.mutex);
  };
  const end = (node: TaskNode, state: State): void => {
    assert.not(states.has(node), `two ends of ${node.label}`);
    assert.is(started.has(node), state !== 'skipped', `${node.label} ${state}`);
    leave(node);
    up.delete(node);
    states.set(node, state);
  };
  for (const event of events) {
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
      started.add(node);
      running.add(node);
      assert.ok(running.size <= jobs, 'too many at once');
    }
    if (event.type === 'task-ready') {
      leave(node);
      up.add(node);
    }
    if (event.type === 'task-done') end(node, 'done');
    if (event.type === 'task-failed') end(node, 'failed');
    if (event.type === 'task-interrupted') end(node, 'interrupted');
    if (event.type === 'task-skipped') end(node, 'skipped');
  }
  assert.is(states.size, nodes.size, 'lost');
  const last = events.at(-1);
  if (last?.type !== 'run-ended') throw new Error(`the last event is ${JSON.stringify(last)}`);
  const count = (state: State): number => [...states.values()].filter((other) => other === state).length;
  assert.equal(
    [last.done, last.failed, last.interrupted, last.skipped],
    [count('done'), count('failed'), count('interrupted'), count('skipped')],
  );
  return states;
}
