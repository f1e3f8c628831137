/**
 * A version in a tag: what comes before, numbers, what comes after. `17.11-bookworm` is ['', [17, 11], '-bookworm'].
 */
type Form = readonly [before: string, numbers: readonly number[], after: string];

function formOf(tag: string): Form | undefined {
  const [, before, numbers, after] = /^(v?)(\d+(?:\.\d+)+)(.*)$/.exec(tag) ?? [];
  if (before === undefined || numbers === undefined || after === undefined) return undefined;
  return [before, numbers.split('.').map(Number), after];
}

/** Compares versions with equally many numbers. */
const compare = (one: readonly number[], other: readonly number[]): number =>
  one.map((number, index) => number - (other[index] ?? 0)).find((difference) => difference !== 0) ?? 0;

/**
 * The newest version that is written like the current one (`v1.2.3`, `1.2-alpine`) with the same major version, and the
 * newest of all majors. Both are the current one if it is no version or has no newer one.
 */
export function newestLike(current: string, all: readonly string[]): { newest: string; ofAll: string } {
  const form = formOf(current);
  if (form === undefined) return { newest: current, ofAll: current };
  const [before, now, after] = form;
  const newer = all
    .flatMap((tag) => {
      const other = formOf(tag);
      const isAlike = other?.[0] === before && other[2] === after && other[1].length === now.length;
      return isAlike && compare(other[1], now) > 0 ? [{ tag, numbers: other[1] }] : [];
    })
    .sort((one, other) => compare(other.numbers, one.numbers));
  return {
    newest: newer.find(({ numbers }) => numbers[0] === now[0])?.tag ?? current,
    ofAll: newer[0]?.tag ?? current,
  };
}

/**
 * A version as this tag would write it: `v0.8.1` for 0.8.1 and `v0.8.0`; the tag itself if it is newer. Undefined if the
 * version is written another way.
 */
export function writtenLike(tag: string, version: string): string | undefined {
  const [now, wanted] = [formOf(tag), formOf(version)];
  if (now === undefined || wanted === undefined || wanted[2] !== '') return undefined;
  if (compare(now[1], wanted[1]) > 0) return tag;
  return `${now[0]}${wanted[1].join('.')}${now[2]}`;
}
