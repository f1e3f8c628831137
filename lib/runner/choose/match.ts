export type Item = { readonly word: string; readonly text: string };

/**
 * Items that contain every word of the filter, best first: at their beginning, at a word's beginning, elsewhere.
 * Equal ones keep their order.
 */
export function matching<Entry extends Item>(items: readonly Entry[], filter: string): Entry[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rankOf = ({ word, text }: Item, part: string): number => {
    const place = word.toLowerCase().indexOf(part);
    if (place >= 0) return Math.min(place, 1);
    return text.toLowerCase().includes(part) ? 2 : Number.POSITIVE_INFINITY;
  };
  return items
    .map((item) => ({ item, rank: Math.max(0, ...wanted.map((part) => rankOf(item, part))) }))
    .filter(({ rank }) => Number.isFinite(rank))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}
