/** A version in a tag: what comes before, the version, what comes after. `17.11-bookworm` is ['', '17.11', '-bookworm']. */
type Form = readonly [before: string, version: string, after: string];

const formOf = (tag: string) => /^(v?)(\d+(?:\.\d+)+)(.*)$/.exec(tag)?.slice(1) as Form | undefined;

/** Compares versions, number by number. */
const compare = (one: string, other: string): number => one.localeCompare(other, 'en', { numeric: true });

const majorOf = (version: string): string | undefined => version.split('.')[0];

/**
 * The newest version that is written like the current one (`v1.2.3`, `1.2-alpine`) with the same major version, and the
 * newest of all majors. Both are the current one if it is no version or has no newer one.
 */
export function newestLike(current: string, all: readonly string[]): { newest: string; ofAll: string } {
  const [before, now = '', after] = formOf(current) ?? [];
  const length = now.split('.').length;
  const newer = all
    .flatMap((tag) => {
      const [start, version = '', end] = formOf(tag) ?? [];
      const isAlike = start === before && end === after && version.split('.').length === length;
      return isAlike && compare(version, now) > 0 ? [{ tag, version }] : [];
    })
    .sort((one, other) => compare(other.version, one.version));
  return {
    newest: newer.find(({ version }) => majorOf(version) === majorOf(now))?.tag ?? current,
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
  return compare(now[1], wanted[1]) > 0 ? tag : `${now[0]}${wanted[1]}${now[2]}`;
}
