import { largest, smallest } from '../extremes.ts';
import { place } from './align.ts';
import { columnsOf, type Links, withoutCircles } from './layers.ts';
import { type Item, orderColumns } from './order.ts';

export type Point = { readonly x: number; readonly y: number };

/** Pixels. */
export type Layout = {
  readonly width: number;
  readonly height: number;
  /** The middle of each box, in the order of the widths. */
  readonly boxes: readonly (Point & { readonly width: number; readonly height: number })[];
  /** The points that each edge passes, in the order of the edges; from border to border. */
  readonly paths: readonly (readonly Point[])[];
};

export const boxHeight = 26;
const rowGap = 10;
/** A passing edge needs less room than a box. */
const lineHeight = 6;
const columnGap = 56;
const margin = 12;
const alignments = 12;
/** Beyond so many bends an edge is drawn straight: they would outnumber the boxes many times. */
const mostBends = 5000;

/**
 * Draws a graph in columns from left to right: everything stands right of what it depends on. Edges that pass columns get
 * a place of their own there, so that they do not run through boxes. Deterministic.
 */
export function layOut(widths: readonly number[], edges: Links): Layout {
  if (widths.length === 0) return { width: 2 * margin, height: 2 * margin, boxes: [], paths: [] };
  const links = withoutCircles(widths.length, edges);
  const columns = columnsOf(widths.length, links);
  const items: Item[] = columns.map((column) => ({ column, left: [], right: [] }));
  const bends = new Map<string, number[]>();
  for (const { from, to } of links)
    if (!bends.has(`${from} ${to}`)) bends.set(`${from} ${to}`, bend(from, to));
  const order = orderColumns(items);
  const middles = alignRows(order, items, widths.length);
  const columnWidths = order.map((column) =>
    largest(
      0,
      column.map((item) => widths[item] ?? 0),
    ),
  );
  const lefts = columnStarts(columnWidths);

  const [highest, lowest] = [
    smallest(Number.POSITIVE_INFINITY, middles),
    largest(Number.NEGATIVE_INFINITY, middles),
  ];
  const top = highest - boxHeight / 2 - margin;
  const y = (item: number): number => round((middles[item] ?? 0) - top);
  const boxes = widths.map((width, item) => {
    const x = (lefts[columns[item] ?? 0] ?? 0) + width / 2;
    return { x: round(x), y: y(item), width, height: boxHeight };
  });
  const paths = edges.map(({ from, to }) => {
    const passed = bends.get(`${from} ${to}`);
    if (passed !== undefined) return path(from, passed, to);
    // Turned round for the layout, since it closes a circle.
    return path(to, bends.get(`${to} ${from}`) ?? [], from).reverse();
  });
  const last = order.length - 1;
  return {
    width: round((lefts[last] ?? 0) + (columnWidths[last] ?? 0) + margin),
    height: round(lowest - top + boxHeight / 2 + margin),
    boxes,
    paths,
  };

  /** Straight through columns, so that a short box's edge does not run into a wider box above or below it. */
  function path(from: number, passed: readonly number[], to: number): Point[] {
    const edge = (item: number, side: 'left' | 'right'): Point => {
      const column = columns[item] ?? items[item]?.column ?? 0;
      return {
        x: round((lefts[column] ?? 0) + (side === 'left' ? 0 : (columnWidths[column] ?? 0))),
        y: y(item),
      };
    };
    const start = { x: round((boxes[from]?.x ?? 0) + (widths[from] ?? 0) / 2), y: y(from) };
    const between = passed.flatMap((item) => [edge(item, 'left'), edge(item, 'right')]);
    return [start, edge(from, 'right'), ...between, edge(to, 'left')];
  }

  /** Connects two items by one more in each column between them, and gives these back. */
  function bend(from: number, to: number): number[] {
    const passed: number[] = [];
    const [first, last] = [(columns[from] ?? 0) + 1, columns[to] ?? 0];
    if (items.length - widths.length + last - first > mostBends) return passed;
    let before = from;
    for (let column = first; column < last; column += 1) {
      const item = items.push({ column, left: [before], right: [] }) - 1;
      items[before]?.right.push(item);
      passed.push(item);
      before = item;
    }
    items[before]?.right.push(to);
    items[to]?.left.push(before);
    return passed;
  }
}

/** Moves the items of each column to where their neighbours are, in turns from both sides, last from both at once. */
function alignRows(order: readonly number[][], items: readonly Item[], boxCount: number): number[] {
  const middles = new Array<number>(items.length).fill(0);
  const isLine = (item: number): boolean => item >= boxCount;
  const height = (item: number): number => (isLine(item) ? lineHeight : boxHeight);
  const settle = (column: readonly number[], neighbours: (item: Item) => number[]): void => {
    const wishes = column.map((item) => {
      const near = items[item] === undefined ? [] : neighbours(items[item]);
      // A passing edge that bends in every column is the hardest to follow: it insists on staying straight.
      const weights = near.map((other) => (isLine(item) && isLine(other) ? 8 : isLine(other) ? 2 : 1));
      const weight = weights.reduce((sum, one) => sum + one, 0);
      const sum = near.reduce(
        (total, other, index) => total + (middles[other] ?? 0) * (weights[index] ?? 0),
        0,
      );
      return weight === 0
        ? { middle: middles[item] ?? 0, weight: 0.1, height: height(item) }
        : { middle: sum / weight, weight, height: height(item) };
    });
    for (const [index, middle] of place(wishes, rowGap).entries()) middles[column[index] ?? 0] = middle;
  };
  for (const column of order) settle(column, () => []);
  for (let round = 0; round < alignments; round += 1) {
    for (const column of order) settle(column, (item) => item.left);
    for (const column of [...order].reverse()) settle(column, (item) => item.right);
  }
  for (const column of order) settle(column, (item) => [...item.left, ...item.right]);
  return middles;
}

function columnStarts(widths: readonly number[]): number[] {
  const starts: number[] = [];
  let x = margin;
  for (const width of widths) {
    starts.push(x);
    x += width + columnGap;
  }
  return starts;
}

/** One decimal: what a screen can show, and the same on every machine. */
function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
