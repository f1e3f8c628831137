// One by one: the package's main file loads all functions.
import satisfies from 'semver/functions/satisfies.js';
import valid from 'semver/functions/valid.js';
import gtr from 'semver/ranges/gtr.js';

/** The first `1.2` or `1.2.3` in a text, also after letters (`v1.2.3`, `go1.26.8`), as `1.2.3`; undefined if there is none. */
export function versionIn(text: string): string | undefined {
  const [, major, minor, patch = '0'] = /(?<![\d.])(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return major === undefined ? undefined : `${major}.${minor}.${patch}`;
}

/** Why a version is not in a semver range (`is too old`); undefined if it is. */
export function versionProblem(version: string, range: string): string | undefined {
  if (satisfies(version, range)) return undefined;
  if (valid(range) !== null) return 'is another version';
  return gtr(version, range) ? 'is too new' : 'is too old';
}
