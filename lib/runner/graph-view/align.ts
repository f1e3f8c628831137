/** What stands in a column: where it would like to be, how much it insists, and how high it is. */
export type Wish = { readonly middle: number; readonly weight: number; readonly height: number };

/**
 * The middles of items that keep their order and do not overlap, as near to their wishes as possible (least squares):
 * neighbours that want to be in the same place are joined to one block at their mean ("pool adjacent violators").
 */
export function place(wishes: readonly Wish[], gap: number): number[] {
  // Less the room that the items above take, the condition is only that no place is below the one after it.
  const offsets: number[] = [];
  let offset = 0;
  for (const [index, { height }] of wishes.entries()) {
    const above = wishes[index - 1];
    if (above !== undefined) offset += (above.height + height) / 2 + gap;
    offsets.push(offset);
  }
  const blocks: { sum: number; weight: number; size: number }[] = [];
  for (const [index, { middle, weight }] of wishes.entries()) {
    let block = { sum: (middle - (offsets[index] ?? 0)) * weight, weight, size: 1 };
    for (let above = blocks.at(-1); above !== undefined; above = blocks.at(-1)) {
      if (above.sum / above.weight < block.sum / block.weight) break;
      blocks.pop();
      block = {
        sum: above.sum + block.sum,
        weight: above.weight + block.weight,
        size: above.size + block.size,
      };
    }
    blocks.push(block);
  }
  const starts = blocks.flatMap((block) => new Array<number>(block.size).fill(block.sum / block.weight));
  return starts.map((start, index) => start + (offsets[index] ?? 0));
}
