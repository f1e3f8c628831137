import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError } from '../../errors.ts';
import type { RunnerSettings } from '../../global-options.ts';
import type { TaskNode } from '../../node.ts';
import { deferred } from '../../pause.ts';
import type { Run } from '../../run.ts';
import { runScheduled, type Work } from '../../schedule.ts';
import type { AnyTask, TaskContext } from '../../task.ts';
import { graphOf, plain, word } from '../rig/graphs.ts';
import { checkEvents, runInProcess } from '../rig/in-process-run.ts';
import { pick, randomGraph, randomOf, withSeeds } from '../rig/random-graph.ts';

async function nodesOf(...tasks: AnyTask[]): Promise<readonly TaskNode[]> {
  const top = plain('top', { needs: tasks });
  return (await graphOf(top)).nodes;
}

/** Runs the nodes and returns their labels in the order in which they were started. */
async function orderOf(nodes: readonly TaskNode[], run?: Work['run'], more = {}): Promise<string[]> {
  const order: string[] = [];
  const scheduled = {
    graph: { nodes },
    settings: { jobs: 1, failure: 'no-new' },
    stop: { signal: new AbortController().signal },
    ...more,
  };
  await runScheduled(scheduled as unknown as Run, {
    skip: () => {},
    run: async (node, late, service) => {
      order.push(node.label);
      return (await run?.(node, late, service)) ?? true;
    },
  });
  return order;
}

test('the ready node with the most dependents goes first, of equals the first written, whenever it became ready', async () => {
  const base = plain('base');
  const middle = plain('middle', { needs: [base] });
  const late = plain('late', { needs: [middle] });
  const equals = ['c', 'a', 'b', 'z', 'd'].map((name) => plain(name));
  const user = plain('user', { needs: [base] });
  for (const [tasks, order] of [
    [[plain('lonely'), late], 'base middle lonely late top'],
    [equals, 'c a b z d top'],
    [[user, plain('other')], 'base user other top'],
  ] as const)
    assert.is((await orderOf(await nodesOf(...tasks))).join(' '), order);
});

test('a mutex goes to the node with the most dependents, even if it came later', async () => {
  const first = plain('first', { mutex: 'm' });
  const few = plain('few', { mutex: 'm' });
  const base = plain('base');
  const many = plain('many', { mutex: 'm', needs: [base] });
  const users = ['u1', 'u2', 'u3'].map((name) => plain(name, { needs: [many] }));
  const firstUser = plain('first-user', { needs: [first, first] });
  const order = await orderOf(await nodesOf(first, few, firstUser, ...users));
  assert.ok(order.indexOf('many') < order.indexOf('few'), order.join());
});

test('a mutex may depend on the arguments', async () => {
  const deploy = plain('deploy', { args: { app: word }, mutex: ({ args }) => args.app.slice(0, 1) });
  const top = plain('top', { needs: ['a1', 'b1', 'a2'].map((app) => ({ task: deploy, args: { app } })) });
  const seen: string[] = [];
  const run: Work['run'] = async ({ label }) => {
    seen.push(`${label} begins`);
    await turn();
    seen.push(`${label} ends`);
    return true;
  };
  await orderOf((await graphOf(top)).nodes.slice(0, 3), run, { settings: { jobs: 4, failure: 'no-new' } });
  assert.equal(seen.slice(0, 2), ['deploy a1 begins', 'deploy b1 begins']);
  assert.ok(seen.indexOf('deploy a2 begins') > seen.indexOf('deploy a1 ends'), seen.join());
});

test('when a long-running process ends, those who wait behind a group are left out too', async () => {
  const server = plain('server', { commands: () => ['serve'], ready: { log: 'up' } });
  const group = plain('group', { needs: [server] });
  const { nodes } = await graphOf(plain('user', { needs: [group, plain('slow')], run: () => {} }));
  const [grouped, ended] = [deferred<void>(), deferred<boolean>()];
  const run: Work['run'] = async ({ label }, _, service) => {
    service?.onReady();
    if (label === 'server') return ended.promise;
    if (label === 'group') grouped.resolve();
    await grouped.promise;
    ended.resolve(false);
    return turn().then(() => true);
  };
  const order = await orderOf(nodes, run, { settings: { jobs: 2, failure: 'continue' } });
  assert.equal(order.sort(), ['group', 'server', 'slow']);
});

test('what is on its way is heard between tasks that wait for nothing', async () => {
  const tasks = Array.from({ length: 40 }, (_, index) => plain(`t${index}`));
  const nodes = await nodesOf(...tasks);
  const abort = new AbortController();
  let ran = 0;
  const run = async (): Promise<boolean> => {
    ran += 1;
    // As a signal would come: by the event loop.
    if (ran === 1) setTimeout(() => abort.abort(), 1);
    for (const end = performance.now() + 5; performance.now() < end; );
    return true;
  };
  await orderOf(nodes, run, { stop: abort });
  assert.ok(ran < tasks.length, `${ran} ran`);
});

test('a chain of 10,000 with a finaliser each is no problem', async () => {
  let last = plain('t-0');
  for (let index = 1; index < 10_000; index += 1)
    last = plain(`t-${index}`, { needs: [last], finally: [plain(`undo-${index}`)] });
  const order = await orderOf((await graphOf(last)).nodes);
  assert.equal([order.length, order[10_000], order.at(-1)], [19_999, 'undo-9999', 'undo-1']);
});

test('a bug in what is called ends the schedule with its error', async () => {
  const nodes = await nodesOf(plain('a'));
  const error = await orderOf(nodes, () => Promise.reject(new Error('a bug'))).catch((thrown) => thrown);
  assert.is(error.message, 'a bug');
});

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
  const graph = await randomGraph(random, 10 + Math.floor(random() * 100), run);
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
    await turn();
    if (over || events.at(-1)?.type === 'run-ended') continue;
    if (steps >= interruptAfter) stop.begin({ type: 'signal', signal: 'SIGTERM' });
    // What is up stays up, most of the time.
    const all = [...bodies];
    const free = all.filter(({ isUp }) => !isUp || random() < failing / 10);
    const chosen: Body | undefined = pick(random, free);
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
