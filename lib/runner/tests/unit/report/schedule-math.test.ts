import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { criticalPath, type Measured, measured } from '../../../report/critical-path.ts';
import { Heap } from '../../../report/heap.ts';
import { simulate } from '../../../report/simulate.ts';
import { ran, randomNumbers } from './fixture.ts';

const unlimited = Number.POSITIVE_INFINITY;

function tasks(
  ...entries: readonly (readonly [durationMs: number, needs?: readonly number[], more?: Partial<Measured>])[]
): Measured[] {
  return entries.map(([durationMs, needs = [], more], task) => {
    return { task, needs, durationMs, mutex: undefined, alone: false, ...more };
  });
}

test('the critical path is the longest chain of needs, not the chain of most tasks', () => {
  const chain = tasks([10], [10, [0]], [10, [1]], [50], [5, [2, 3]], [30]);
  assert.equal(criticalPath(chain), { tasks: [3, 4], durationMs: 55 });
  assert.equal(criticalPath([]), { tasks: [], durationMs: 0 });
});

test('only what ran is measured, and its places are those of the run', () => {
  const skipped = { ...ran('b', 0, 0), startedAt: undefined, endedAt: undefined };
  const run = measured([ran('a', 0, 40), skipped, ran('c', 40, 100, { needs: [0] })]);
  assert.equal(
    run.map(({ task, needs, durationMs }) => ({ task, needs, durationMs })),
    [
      { task: 0, needs: [], durationMs: 40 },
      { task: 2, needs: [0], durationMs: 60 },
    ],
  );
  assert.equal(criticalPath(run).tasks, [0, 2]);
});

test('a long-running task counts until its first dependent could begin', () => {
  const run = measured([
    ran('server', 0, 500),
    ran('test', 30, 480, { needs: [0] }),
    ran('more', 90, 95, { needs: [0] }),
  ]);
  assert.equal(
    run.map(({ durationMs }) => durationMs),
    [30, 450, 5],
  );
  assert.equal(criticalPath(run), { tasks: [0, 1], durationMs: 480 });
});

test('two workers share the work, one does it alone, and none is of use beyond what is ready', () => {
  const work = tasks([10], [20], [30], [5, [0, 1, 2]]);
  const none = [0, 0, 0, 0];
  assert.is(simulate(work, 1, none), 65);
  assert.is(simulate(work, 2, none), 45);
  assert.is(simulate(work, 3, none), 35);
  assert.is(simulate(work, unlimited, none), 35);
});

test('of the ready tasks the one that most others wait for goes first', () => {
  const work = tasks([10], [10], [10, [1]], [10, [2]]);
  assert.is(simulate(work, 1, [0, 2, 1, 0]), 40);
  assert.is(simulate(work, 2, [0, 2, 1, 0]), 30);
  assert.is(simulate(tasks([10], [10], [10], [10, [2]]), 2, [0, 0, 1, 0]), 20);
  assert.is(simulate(tasks([10], [10], [10], [10, [2]]), 2, [0, 0, 0, 0]), 30);
});

test('tasks of one mutex follow each other, and do not hold a worker meanwhile', () => {
  const helm = { mutex: 'helm' };
  assert.is(simulate(tasks([10, [], helm], [10, [], helm], [10, [], helm]), unlimited, []), 30);
  assert.is(simulate(tasks([10, [], helm], [10, [], helm], [10]), 2, []), 20);
});

test('a task that runs alone waits for the others, and they wait for it', () => {
  assert.is(simulate(tasks([10], [20], [5, [0], { alone: true }], [10, [0]]), unlimited, []), 35);
});

test('with random graphs: never shorter than the critical path or the work allows, never longer than a greedy schedule may be', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = randomNumbers(seed);
    const work = tasks(
      ...Array.from({ length: 1 + Math.floor(random() * 80) }, (_, place) => {
        const needs = Array.from({ length: place === 0 ? 0 : Math.floor(random() * 4) }, () =>
          Math.floor(random() * place),
        );
        return [Math.floor(random() * 100), [...new Set(needs)]] as const;
      }),
    );
    const priorities = work.map(() => Math.floor(random() * 10));
    const total = work.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const path = criticalPath(work).durationMs;
    assert.is(simulate(work, 1, priorities), total, `seed ${seed}`);
    assert.is(simulate(work, unlimited, priorities), path, `seed ${seed}`);
    for (const workers of [2, 3, 8]) {
      const time = simulate(work, workers, priorities);
      assert.ok(time >= Math.max(path, total / workers), `seed ${seed}, ${workers} workers`);
      // Graham's bound for any schedule that leaves no worker idle without need.
      assert.ok(time <= total / workers + path, `seed ${seed}, ${workers} workers`);
    }
  }
});

test('a heap gives its items back in order', () => {
  const random = randomNumbers(5);
  const numbers = Array.from({ length: 300 }, () => Math.floor(random() * 100));
  const heap = new Heap<number>((left, right) => left < right);
  for (const number of numbers) heap.push(number);
  const sorted = Array.from({ length: heap.size }, () => heap.pop());
  assert.equal(
    sorted,
    [...numbers].sort((left, right) => left - right),
  );
  assert.is(heap.pop(), undefined);
});

test.run();
