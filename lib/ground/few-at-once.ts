/** Programs that run side by side; all of them for 60 applications would take gigabytes. */
const most = 8;

/** Results of `work` for each item, in order; only a few run at once, and after a failure no other begins. */
export async function fewAtOnce<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  // A generator, unlike an array's iterator, ends for all when one leaves its loop by an error.
  const entries = (function* () {
    yield* items.entries();
  })();
  const worker = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  return results;
}
