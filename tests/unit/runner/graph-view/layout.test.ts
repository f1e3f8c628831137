import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { place } from '../../../../lib/runner/graph-view/align.ts';
import type { Links } from '../../../../lib/runner/graph-view/layers.ts';
import { type Layout, layOut } from '../../../../lib/runner/graph-view/layout.ts';
import { orderColumns } from '../../../../lib/runner/graph-view/order.ts';

/** Pseudo-random numbers from 0 to 1, the same in each run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function randomGraph(seed: number): { widths: number[]; edges: Links } {
  const random = randomNumbers(seed);
  const size = 2 + Math.floor(random() * 40);
  const widths = Array.from({ length: size }, () => 40 + Math.floor(random() * 200));
  const edges = new Map<string, { from: number; to: number }>();
  for (let count = Math.floor(random() * size * 2); count > 0; count -= 1) {
    const to = 1 + Math.floor(random() * (size - 1));
    const from = Math.floor(random() * to);
    edges.set(`${from} ${to}`, { from, to });
  }
  return { widths, edges: [...edges.values()] };
}

type Box = Layout['boxes'][number];

const overlaps = (one: Box, other: Box): boolean =>
  Math.abs(one.x - other.x) * 2 < one.width + other.width &&
  Math.abs(one.y - other.y) * 2 < one.height + other.height;

test('boxes lie within the picture and not on each other, edges lead to the right', () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const { widths, edges } = randomGraph(seed);
    const { boxes, paths, width, height } = layOut(widths, edges);
    for (const [place, box] of boxes.entries()) {
      const inside =
        box.x - box.width / 2 >= 0 &&
        box.x + box.width / 2 <= width &&
        box.y - box.height / 2 >= 0 &&
        box.y + box.height / 2 <= height;
      assert.ok(inside, `seed ${seed}: box ${place} is outside`);
      for (const other of boxes.slice(place + 1)) assert.not(overlaps(box, other), `seed ${seed}`);
    }
    for (const [place, points] of paths.entries()) {
      const [from, to] = [boxes[edges[place]?.from ?? 0], boxes[edges[place]?.to ?? 0]];
      assert.equal(
        points[0],
        { x: round((from?.x ?? 0) + (from?.width ?? 0) / 2), y: from?.y },
        `seed ${seed}`,
      );
      assert.is(points.at(-1)?.y, to?.y);
      assert.ok(
        Math.abs((points.at(-1)?.x ?? 0) - ((to?.x ?? 0) - (to?.width ?? 0) / 2)) < 0.2,
        `seed ${seed}`,
      );
      for (const [index, point] of points.entries())
        assert.ok(point.x >= (points[index - 1]?.x ?? 0), `seed ${seed}: edge ${place} turns back`);
    }
  }
});

test('no room is left above or below', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { widths, edges } = randomGraph(seed);
    const { boxes, paths, height } = layOut(widths, edges);
    const middles = [...boxes, ...paths.flat()].map(({ y }) => y);
    const above = Math.min(...middles);
    assert.ok(Math.abs(above + Math.max(...middles) - height) < 0.3, `seed ${seed}`);
    assert.ok(above < 30, `seed ${seed}`);
  }
});

test('no edge runs through a box that it does not belong to', () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const { widths, edges } = randomGraph(seed);
    const { boxes, paths } = layOut(widths, edges);
    for (const [place, points] of paths.entries()) {
      const { from, to } = edges[place] ?? { from: 0, to: 0 };
      for (const [index, end] of points.entries()) {
        const start = points[index - 1];
        if (start === undefined) continue;
        for (const [place, box] of boxes.entries()) {
          const beside =
            start.x >= box.x + box.width / 2 - 0.2 ||
            end.x <= box.x - box.width / 2 + 0.2 ||
            start.x === end.x;
          // A curve may be at any height: it has to stay between two columns.
          const level = start.y === end.y;
          const apart =
            level && (Math.abs(start.y - box.y) >= box.height / 2 || place === from || place === to);
          assert.ok(beside || apart, `seed ${seed}: edge ${from} to ${to} through ${place}`);
        }
      }
    }
  }
});

test('the same graph always gives the same picture', () => {
  const { widths, edges } = randomGraph(7);
  assert.equal(layOut(widths, edges), layOut([...widths], [...edges]));
});

test('a circle and an edge to itself are drawn too, an empty graph is an empty picture', () => {
  const circle = [
    { from: 0, to: 1 },
    { from: 1, to: 2 },
    { from: 2, to: 0 },
    { from: 1, to: 1 },
  ];
  const { boxes, paths } = layOut([50, 50, 50], circle);
  assert.is(new Set(boxes.map(({ x }) => x)).size, 3);
  assert.ok((paths[2]?.[0]?.x ?? 0) > (paths[2]?.at(-1)?.x ?? 0));
  assert.is(layOut([], []).boxes.length, 0);
});

test('what only one task needs stands right before it', () => {
  // 0 -> 1 -> 2 -> 3, and 4 is a tool of 3.
  const { boxes } = layOut(
    [50, 50, 50, 50, 50],
    [
      { from: 0, to: 1 },
      { from: 1, to: 2 },
      { from: 2, to: 3 },
      { from: 4, to: 3 },
    ],
  );
  assert.is(boxes[4]?.x, boxes[2]?.x);
});

test('a graph with more passing edges than any picture can show is still drawn', () => {
  const size = 400;
  const edges = Array.from({ length: size - 1 }, (_, from) => [
    { from, to: from + 1 },
    { from, to: size - 1 },
  ]).flat();
  const { boxes } = layOut(new Array<number>(size).fill(60), edges);
  assert.is(new Set(boxes.map(({ x }) => x)).size, size);
});

test('crossings that can be avoided are', () => {
  // Two columns, connected in reverse.
  const items = [0, 1, 2].map((place) => ({ column: 0, left: [], right: [5 - place] }));
  const others = [3, 4, 5].map((place) => ({ column: 1, left: [5 - place], right: [] }));
  assert.equal(orderColumns([...items, ...others]), [
    [0, 1, 2],
    [5, 4, 3],
  ]);
});

test('items get what they wish for, or the mean when two wish for the same', () => {
  const wish = (middle: number, weight = 1) => ({ middle, weight, height: 10 });
  assert.equal(place([wish(0), wish(100)], 2), [0, 100]);
  assert.equal(place([wish(50), wish(50)], 2), [44, 56]);
  assert.equal(place([wish(50, 3), wish(50)], 2), [47, 59]);
});

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

test.run();
