import pMap from 'p-map';

/** Results of `work` for each item, in order. For programs: all of them for 60 applications would take gigabytes. */
export const fewAtOnce = <Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> => pMap(items, work, { concurrency: 8 });
