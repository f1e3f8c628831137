import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError } from '../../errors.ts';
import type { RunnerSettings } from '../../global-options.ts';
import type { TaskContext } from '../../task.ts';
import { checkEvents } from '../rig/check-events.ts';
import { runInProcess } from '../rig/in-process-run.ts';
import { randomGraph, randomOf, withSeeds } from '../rig/random-graph.ts';

type Body = { name: string; context: TaskContext; end: (error?: Error) => void; isUp: boolean };

const modes: readonly RunnerSettings['failure'][] = ['no-new', 'continue', 'kill'];

/** A whole run of a random graph, with retries; bodies are promises that the test ends in random order. */
async function trial(seed: number): Promise<void> {
  const random = randomOf(seed * 104_729);
  const failing = seed % 4 === 0 ? 0 : random() * 0.1;
  const jobs = 1 + Math.floor(random() * 16);
  const mode = modes[seed % 3] ?? 'no-new';
  const bodies = new Set<Body>();
  const run = (context: TaskContext, name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        bodies.delete(body);
        error === undefined ? resolve() : reject(error);
      };
      const body: Body = { name, context, end, isUp: false };
      bodies.add(body);
      context.signal.addEventListener('abort', () => end(new Error('stopped')));
    });
  const graph = await randomGraph(random, {
    ...{ size: 10 + Math.floor(random() * 100), run },
    ...{ mutex: 0.1, interactive: 0.02, ready: 0.06, finally: 0.1, group: 0.1, retries: 0.2 },
  });
  const byName = new Map(graph.nodes.map((node) => [node.label, node]));
  const longRunning = ({ name }: Body) => byName.get(name)?.longRunning;
  const { stop, events, exitCode } = runInProcess(graph, jobs, mode);
  const interruptAfter =
    seed % 5 === 0 ? Math.floor(random() * graph.nodes.length) : Number.POSITIVE_INFINITY;
  let over = false;
  const code = exitCode.finally(() => {
    over = true;
  });
  code.catch(() => {});

  for (let steps = 0, idle = 0; !over; ) {
    await new Promise((resolve) => setImmediate(resolve));
    if (over || events.at(-1)?.type === 'run-ended') continue;
    if (steps >= interruptAfter) stop.begin({ type: 'signal', signal: 'SIGTERM' });
    // What is up stays up, most of the time.
    const all = [...bodies];
    const free = all.filter(({ isUp }) => !isUp || random() < failing / 10);
    const chosen = free[Math.floor(random() * free.length)];
    if (chosen !== undefined) {
      idle = 0;
      steps += 1;
      const good = random() >= failing;
      if (good && !chosen.isUp && longRunning(chosen) !== undefined) {
        chosen.isUp = true;
        chosen.context.log('now it is up');
      } else {
        chosen.end(good ? undefined : new TaskError({ what: 'bad luck', exitCode: 7 }));
      }
    } else {
      idle += 1;
      if (all.some((body) => longRunning(body)?.requested)) stop.begin({ type: 'signal', signal: 'SIGTERM' });
      // Between two attempts a timer runs.
      assert.ok(idle < 1_000_000, 'no end');
    }
  }
  const exit = await code;
  const states = checkEvents(graph, events, jobs, mode);
  const failed = [...states.values()].filter((state) => state === 'failed').length;
  if (stop.reason?.type === 'signal') assert.is(exit, 143);
  // A long-running process that ends by itself has no code of its own.
  else assert.ok((failed === 0 ? [0] : failed === 1 ? [1, 7] : [1]).includes(exit), `exit code ${exit}`);
  if (stop.reason === undefined && failed === 0)
    for (const [node, state] of states) assert.is(state, 'done', node.label);
}

test('random runs: every node ends once, whatever fails, is tried again or is interrupted', () =>
  withSeeds(100, trial));

test.run();
