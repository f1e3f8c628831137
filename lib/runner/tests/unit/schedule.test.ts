import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TaskNode } from '../../node.ts';
import { deferred } from '../../pause.ts';
import type { Run } from '../../run.ts';
import { runScheduled, type Work } from '../../schedule.ts';
import type { AnyTask } from '../../task.ts';
import { graphOf, plain, word } from '../rig/graphs.ts';

async function nodesOf(...tasks: AnyTask[]): Promise<readonly TaskNode[]> {
  const top = plain('top', { needs: tasks });
  return (await graphOf(top)).nodes;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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

test.run();
