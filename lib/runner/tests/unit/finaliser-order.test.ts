import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FinaliserOrder } from '../../finaliser-order.ts';
import type { TaskNode } from '../../node.ts';
import type { AnyTask } from '../../task.ts';
import { graphOf, plain } from '../rig/graphs.ts';

async function nodesOf(top: AnyTask): Promise<readonly TaskNode[]> {
  return (await graphOf(top)).nodes;
}

type Told = {
  readonly released: string[];
  readonly end: (...labels: string[]) => void;
  readonly releaseNext: () => boolean;
};

/** All that is needed has ended; finalisers end when the test says so, those that are left out at once. */
function order(nodes: readonly TaskNode[], leftOut: readonly string[] = []): Told {
  const released: string[] = [];
  const byLabel = new Map(nodes.map((node) => [node.label, node]));
  const rules = new FinaliserOrder(
    nodes,
    (node) => !node.late,
    (node) => {
      if (leftOut.includes(node.label)) rules.ended(node);
      else released.push(node.label);
    },
  );
  rules.begin();
  return {
    released,
    end: (...labels) => {
      for (const label of labels) {
        const node = byLabel.get(label);
        if (node !== undefined) rules.ended(node);
      }
    },
    releaseNext: () => rules.releaseNext(() => true),
  };
}

test('finalisers run in the reverse order of their tasks, independent ones at the same time', async () => {
  const make = (name: string, needs: AnyTask[]): AnyTask =>
    plain(name, { needs, finally: [plain(`undo-${name}`)] });
  const base = make('base', []);
  const left = make('left', [base]);
  const right = make('right', [plain('between', { needs: [base] })]);
  const { released, end } = order(await nodesOf(plain('top', { needs: [left, right] })));
  assert.equal([...released].sort(), ['undo-left', 'undo-right']);
  end('undo-left');
  assert.is(released.length, 2);
  end('undo-right');
  assert.equal(released.slice(2), ['undo-base']);
});

test('a finaliser of a finaliser runs after it, and before those of the tasks below', async () => {
  const deepest = plain('deepest');
  const undo = plain('undo', { finally: [deepest] });
  const below = plain('below', { finally: [plain('undo-below')] });
  const { released, end } = order(await nodesOf(plain('top', { needs: [below], finally: [undo] })));
  assert.equal(released, ['undo']);
  end('undo');
  assert.equal(released, ['undo', 'deepest']);
  end('deepest');
  assert.equal(released, ['undo', 'deepest', 'undo-below']);
});

test('a finaliser that needs its own task does not hold itself back', async () => {
  const base: AnyTask = plain('base', { finally: () => [dump] });
  const dump = plain('dump', { needs: [base] });
  assert.equal(order(await nodesOf(plain('top', { needs: [base] }))).released, ['dump']);
});

test('one that is left out at once counts once', async () => {
  const base = plain('base', { finally: [plain('undo-base')] });
  const [a, b] = ['a', 'b'].map((name) =>
    plain(name, { needs: [base], finally: [plain(`undo-${name}`)] }),
  ) as [AnyTask, AnyTask];
  const { released, end } = order(await nodesOf(plain('top', { needs: [a, b] })), ['undo-a']);
  assert.equal(released, ['undo-b']);
  end('undo-b');
  assert.equal(released, ['undo-b', 'undo-base']);
});

test('a shared one waits for all its tasks', async () => {
  const shared = plain('shared');
  const own = plain('own');
  const low = plain('low', { finally: [shared] });
  const high = plain('high', { finally: [own] });
  const below = plain('below', { needs: [], finally: [shared] });
  const above = plain('above', { needs: [below], finally: [high] });
  const { released, end } = order(await nodesOf(plain('top', { needs: [low, above] })));
  assert.equal(released, ['high']);
  end('high');
  assert.equal(released, ['high', 'own']);
  end('own');
  assert.equal(released, ['high', 'own', 'shared']);
});

test('a finaliser of a task and of its need comes after the others of both, when nothing else is left', async () => {
  const shared = plain('shared');
  const last = plain('last');
  const base = plain('base', { finally: [last] });
  const middle = plain('middle', { needs: [base], finally: [shared] });
  const app = plain('app', { needs: [middle], finally: [plain('own'), shared] });
  const { released, end, releaseNext } = order(await nodesOf(plain('top', { needs: [app] })));
  assert.equal(released, ['own']);
  end('own');
  assert.equal(released, ['own']);
  assert.ok(releaseNext());
  assert.equal(released, ['own', 'shared']);
  end('shared');
  assert.equal(released, ['own', 'shared', 'last']);
});

test('what waits for each other is released one by one, when nothing else is left', async () => {
  const f = plain('f');
  const g = plain('g');
  const a = plain('a', { finally: [f] });
  const b = plain('b', { needs: [a], finally: [g] });
  const c = plain('c', { finally: [g] });
  const d = plain('d', { needs: [c], finally: [f] });
  const { released, end, releaseNext } = order(await nodesOf(plain('top', { needs: [b, d] })));
  assert.equal(released, []);
  assert.ok(releaseNext());
  assert.is(released.length, 1);
  end(released[0] ?? '');
  while (releaseNext()) end(released.at(-1) ?? '');
  assert.equal([...released].sort(), ['f', 'g']);
});

test('a chain of 10,000 with a finaliser each is no problem', async () => {
  let last: AnyTask | undefined;
  for (let index = 0; index < 10_000; index += 1) {
    const undo = plain(`undo-${index}`);
    last = plain(`t-${index}`, { needs: last === undefined ? [] : [last], finally: [undo] });
  }
  const { released, end } = order(await nodesOf(last as AnyTask));
  for (let done = 0; done < released.length; done += 1) end(released[done] ?? '');
  assert.is(released.length, 10_000);
  assert.is(released[0], 'undo-9999');
  assert.is(released.at(-1), 'undo-0');
});

test.run();
