/** The largest of some numbers and `least`. `Math.max(...numbers)` overflows the stack from some 120,000 numbers on. */
export function largest(least: number, numbers: Iterable<number>): number {
  let found = least;
  for (const number of numbers) if (number > found) found = number;
  return found;
}

/** The smallest of some numbers and `most`. */
export function smallest(most: number, numbers: Iterable<number>): number {
  let found = most;
  for (const number of numbers) if (number < found) found = number;
  return found;
}
