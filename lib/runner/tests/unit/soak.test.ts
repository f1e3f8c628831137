import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkEvents } from '../rig/check-events.ts';
import { runInProcess } from '../rig/in-process-run.ts';
import { randomGraph, randomOf, withSeeds } from '../rig/random-graph.ts';

test('10,000 tasks, 4 at once: each runs once, after its needs', () =>
  withSeeds(1, async (seed) => {
    const run = (): Promise<void> => Promise.resolve();
    const graph = await randomGraph(randomOf(seed), { size: 10_000, mutex: 0.01, finally: 0.01, run });
    const { events, exitCode } = runInProcess(graph, 4, 'no-new');
    assert.is(await exitCode, 0);
    const states = checkEvents(graph, events, 4);
    assert.ok(states.size > 10_000);
    assert.equal([...new Set(states.values())], ['done']);
  }));

test.run();
