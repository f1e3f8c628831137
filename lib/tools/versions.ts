/** A version as numbers; what follows them (`-rc.1`, `+build`) does not count. */
export type Version = { readonly major: number; readonly minor: number; readonly patch: number };

/** The first `1.2` or `1.2.3` in a text, also behind letters (`v1.2.3`, `go1.26.8`); undefined when there is none. */
export function parseVersion(text: string): Version | undefined {
  const match = /(?<![\d.])(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

/** `1.2.3`, without a leading `v`. */
export function formatVersion({ major, minor, patch }: Version): string {
  return `${major}.${minor}.${patch}`;
}

/** Negative when `a` is older than `b`, 0 when they are the same. */
export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** Which versions of a tool will do. */
export type VersionNeed = {
  readonly minimum?: Version | undefined;
  /** This one only. */
  readonly exact?: Version | undefined;
  /** This one and one minor version to either side. */
  readonly around?: Version | undefined;
  /** This major version only. */
  readonly major?: number | undefined;
};

/** Why a version will not do (`is too old`), or undefined when it will. */
export function versionProblem(version: Version, need: VersionNeed): string | undefined {
  if (need.exact !== undefined && compareVersions(version, need.exact) !== 0) return 'is another version';
  if (need.minimum !== undefined && compareVersions(version, need.minimum) < 0) return 'is too old';
  if (need.major !== undefined && version.major !== need.major) {
    return version.major < need.major ? 'is too old' : 'is too new';
  }
  if (need.around !== undefined) {
    if (version.major !== need.around.major)
      return version.major < need.around.major ? 'is too old' : 'is too new';
    if (version.minor < need.around.minor - 1) return 'is too old';
    if (version.minor > need.around.minor + 1) return 'is too new';
  }
  return undefined;
}

/** The versions that will do, in words: `3.9.0 or newer`, `1.30 to 1.32`, `1.31.0`; empty when any will do. */
export function describeNeed(need: VersionNeed): string {
  if (need.exact !== undefined) return formatVersion(need.exact);
  if (need.around !== undefined) {
    const { major, minor } = need.around;
    return `${major}.${Math.max(0, minor - 1)} to ${major}.${minor + 1}`;
  }
  if (need.major !== undefined) return `${need.major}.x`;
  return need.minimum === undefined ? '' : `${formatVersion(need.minimum)} or newer`;
}
