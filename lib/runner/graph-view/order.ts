/** An item of a column with the places, in the list of all items, of what it is connected to in the columns beside. */
export type Item = { readonly column: number; readonly left: number[]; readonly right: number[] };

const sweeps = 24;

/**
 * The items of each column from top to bottom, with few crossings: again and again each column is sorted by where the
 * neighbours of its items stand, from left to right and back, and the best order that was met is kept. The same input
 * always gives the same order.
 */
export function orderColumns(items: readonly Item[]): number[][] {
  const columns: number[][] = [];
  for (const [place, { column }] of items.entries()) {
    columns[column] ??= [];
    columns[column].push(place);
  }
  let best = columns.map((column) => [...column]);
  let fewest = crossings(best, items);
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep += 1) {
    const rightwards = sweep % 2 === 0;
    const walk = rightwards ? columns.slice(1) : columns.slice(0, -1).reverse();
    for (const column of walk) sortColumn(column, columns, items, rightwards ? 'left' : 'right');
    const now = crossings(columns, items);
    if (now >= fewest) continue;
    fewest = now;
    best = columns.map((column) => [...column]);
  }
  return best;
}

function sortColumn(
  column: number[],
  columns: readonly number[][],
  items: readonly Item[],
  side: 'left' | 'right',
): void {
  const [first] = column;
  const own = first === undefined ? 0 : (items[first]?.column ?? 0);
  const ranks = ranksOf(columns[side === 'left' ? own - 1 : own + 1] ?? []);
  const wish = new Map(
    column.map((place, rank) => {
      const neighbours = (items[place]?.[side] ?? []).map((neighbour) => ranks.get(neighbour) ?? 0);
      // What is connected to nothing on this side stays where it is.
      return [place, neighbours.length === 0 ? rank : sum(neighbours) / neighbours.length];
    }),
  );
  column.sort((upper, lower) => (wish.get(upper) ?? 0) - (wish.get(lower) ?? 0));
}

function crossings(columns: readonly number[][], items: readonly Item[]): number {
  let count = 0;
  for (const [index, column] of columns.entries()) {
    const next = columns[index + 1];
    if (next === undefined) break;
    const ranks = ranksOf(next);
    const ends = column.flatMap((place) =>
      (items[place]?.right ?? []).map((to) => ranks.get(to) ?? 0).sort((upper, lower) => upper - lower),
    );
    count += inversions(ends, next.length);
  }
  return count;
}

/** How many pairs are in the wrong order, by a tree of sums over the values 0 to `size` - 1. */
function inversions(values: readonly number[], size: number): number {
  const tree = new Uint32Array(size + 1);
  let count = 0;
  for (const [seen, value] of values.entries()) {
    let notGreater = 0;
    for (let index = value + 1; index > 0; index -= index & -index) notGreater += tree[index] ?? 0;
    count += seen - notGreater;
    for (let index = value + 1; index <= size; index += index & -index) tree[index] = (tree[index] ?? 0) + 1;
  }
  return count;
}

function ranksOf(column: readonly number[]): Map<number, number> {
  return new Map(column.map((place, rank) => [place, rank]));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
