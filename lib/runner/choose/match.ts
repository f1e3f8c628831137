export type Item = { readonly word: string; readonly text: string };

/**
 * The items in which every word of the filter occurs, best first: as the item's beginning, in its word, with its letters in
 * order, in its text. Equal ones keep their order.
 */
export function matching<Entry extends Item>(items: readonly Entry[], filter: string): Entry[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return items
    .map((item) => ({ item, rank: Math.max(0, ...wanted.map((word) => rankOf(item, word))) }))
    .filter(({ rank }) => Number.isFinite(rank))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}

function rankOf(item: Item, wanted: string): number {
  const word = item.word.toLowerCase();
  if (word.startsWith(wanted)) return 0;
  if (word.includes(wanted)) return 1;
  if (hasInOrder(word, wanted)) return 2;
  return item.text.toLowerCase().includes(wanted) ? 3 : Number.POSITIVE_INFINITY;
}

function hasInOrder(word: string, letters: string): boolean {
  let place = -1;
  for (const letter of letters) {
    place = word.indexOf(letter, place + 1);
    if (place < 0) return false;
  }
  return true;
}
