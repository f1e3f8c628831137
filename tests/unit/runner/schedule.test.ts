import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph, type TaskNode } from '../../../lib/runner/graph.ts';
import { type FailureMode, runSchedule } from '../../../lib/runner/schedule.ts';
import { type AnyTask, type TaskDefinition, task } from '../../../lib/runner/task.ts';

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

async function nodesOf(tasks: readonly AnyTask[]): Promise<readonly TaskNode[]> {
  const top = task({ name: 'top', description: 'd', commands: () => [], needs: [...tasks] });
  return (await buildGraph({ task: top, args: {}, passThrough: [] }, {}, 'run')).nodes;
}

function randomTasks(size: number, random: () => number): AnyTask[] {
  const tasks: AnyTask[] = [];
  for (let index = 0; index < size; index += 1) {
    const pick = (): AnyTask[] => tasks.filter(() => random() < 3 / (tasks.length + 1));
    const traits: Partial<TaskDefinition<Record<never, never>>> = {
      ...(random() < 0.1 ? { mutex: `mutex-${Math.floor(random() * 3)}` } : {}),
      ...(random() < 0.03 ? { interactive: true } : {}),
    };
    tasks.push(
      task({
        ...traits,
        name: `t${index}`,
        description: 'd',
        commands: () => [],
        needs: pick(),
        after: pick(),
      }),
    );
  }
  return tasks;
}

type Trial = {
  readonly seed: number;
  readonly jobs: number;
  readonly mode: FailureMode;
  readonly failing: number;
};

/** Runs a random graph and checks everything that must hold in any run. */
async function trial({ seed, jobs, mode, failing }: Trial): Promise<void> {
  const random = randomOf(seed);
  const nodes = await nodesOf(randomTasks(50 + Math.floor(random() * 250), random));
  const note = `seed ${seed}, jobs ${jobs}, ${mode}`;
  const abort = new AbortController();
  const running = new Set<TaskNode>();
  const done = new Set<TaskNode>();
  const failed = new Set<TaskNode>();
  const skipped = new Map<TaskNode, TaskNode | undefined>();

  await runSchedule({
    nodes,
    jobs,
    failureMode: mode,
    signal: abort.signal,
    run: async (node) => {
      assert.not(running.has(node) || done.has(node) || failed.has(node), `${note}: twice ${node.label}`);
      for (const needed of node.needs)
        assert.ok(done.has(needed), `${note}: ${node.label} before ${needed.label}`);
      for (const other of running) {
        assert.not(other.task.interactive || node.task.interactive, `${note}: not alone`);
        assert.ok(other.task.mutex === undefined || other.task.mutex !== node.task.mutex, `${note}: mutex`);
      }
      if (mode !== 'continue') assert.is(failed.size, 0, `${note}: new after a failure`);
      running.add(node);
      assert.ok(running.size <= jobs, `${note}: too many at once`);
      for (let turns = random() * 4; turns > 0; turns -= 1)
        await new Promise((resolve) => setImmediate(resolve));
      running.delete(node);
      const good = random() >= failing;
      (good ? done : failed).add(node);
      return good;
    },
    skip: (node, because) => {
      assert.not(skipped.has(node), `${note}: skipped twice`);
      skipped.set(node, because);
    },
    kill: () => assert.is(mode, 'kill'),
  });
  assert.is(running.size, 0, `${note}: ended early`);
  assert.is(done.size + failed.size + skipped.size, nodes.length, `${note}: lost`);
  if (failing === 0) assert.is(done.size, nodes.length, note);
  if (mode !== 'continue') return;
  for (const [node, because] of skipped) {
    assert.ok(because !== undefined && failed.has(because), `${note}: ${node.label} skipped for nothing`);
  }
}

test('random graphs: needs first, nothing twice, nothing lost, never too many, always an end', async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomOf(seed * 7919);
    const jobs = 1 + Math.floor(random() * 16);
    const mode = (['no-new', 'continue', 'kill'] as const)[seed % 3] ?? 'no-new';
    await trial({ seed, jobs, mode, failing: seed % 4 === 0 ? 0 : random() * 0.1 });
  }
});

test('of several ready nodes the one that most others wait for goes first', async () => {
  const plain = { description: 'd', commands: () => [] };
  const lonely = task({ ...plain, name: 'lonely' });
  const base = task({ ...plain, name: 'base' });
  const middle = task({ ...plain, name: 'middle', needs: [base] });
  const late = task({ ...plain, name: 'late', needs: [middle] });
  const order: string[] = [];
  await runSchedule({
    nodes: await nodesOf([lonely, late]),
    jobs: 1,
    failureMode: 'no-new',
    signal: new AbortController().signal,
    run: async (node) => {
      order.push(node.label);
      return true;
    },
    skip: () => assert.unreachable(),
    kill: assert.unreachable,
  });
  assert.equal(order, ['base', 'middle', 'lonely', 'late', 'top']);
});

test('after an abort nothing new starts, and everything is accounted for', async () => {
  const random = randomOf(5);
  const nodes = await nodesOf(randomTasks(100, random));
  const abort = new AbortController();
  let ran = 0;
  let skipped = 0;
  await runSchedule({
    nodes,
    jobs: 3,
    failureMode: 'continue',
    signal: abort.signal,
    run: async () => {
      assert.not(abort.signal.aborted);
      ran += 1;
      await new Promise((resolve) => setImmediate(resolve));
      if (ran >= 10) abort.abort();
      return true;
    },
    skip: () => {
      skipped += 1;
    },
    kill: assert.unreachable,
  });
  assert.is(ran + skipped, nodes.length);
  assert.ok(ran < 15);
});

test.run();
