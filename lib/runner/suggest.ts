/**
 * "Did you mean `x`?", the candidate that was probably meant, or `otherwise`. Tolerates a few wrong, missing, extra or
 * swapped letters, and the beginning of a single candidate.
 */
export function didYouMean(word: string, candidates: readonly string[], otherwise: string): string {
  const wanted = word.toLowerCase();
  const allowed = Math.max(1, Math.floor(wanted.length / 3));
  let best: string | undefined;
  let bestDistance = allowed + 1;
  for (const candidate of candidates) {
    const name = candidate.toLowerCase();
    const distance = editDistance(wanted, name);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  const longer = wanted.length < 2 ? [] : candidates.filter((name) => name.toLowerCase().startsWith(wanted));
  const found = best ?? (longer.length === 1 ? longer[0] : undefined);
  return found === undefined ? otherwise : `Did you mean \`${found}\`?`;
}

/** Number of insertions, deletions, replacements and swaps of neighbours. */
function editDistance(left: string, right: string): number {
  const distances: number[][] = [];
  const at = (row: number, column: number): number => distances[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 0; row <= left.length; row += 1) {
    distances.push([]);
    for (let column = 0; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      const one = Math.min(
        at(row, column - 1),
        at(row - 1, column),
        swapped ? at(row - 2, column - 2) : Infinity,
      );
      const cost = Math.min(one + 1, at(row - 1, column - 1) + (same ? 0 : 1));
      distances[row]?.push(row + column === 0 ? 0 : cost);
    }
  }
  return at(left.length, right.length);
}
