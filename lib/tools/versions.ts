// Single functions, because the package's main file loads all.
import satisfies from 'semver/functions/satisfies.js';
import valid from 'semver/functions/valid.js';
import gtr from 'semver/ranges/gtr.js';
import type { ToolEntry } from './manifest.ts';

/** The first `1.2` or `1.2.3` in a text, even after letters (`v1.2.3`, `go1.26.8`), as `1.2.3`; undefined if none. */
export function versionIn(text: string): string | undefined {
  const [, major, minor, patch = '0'] = /(?<![\d.])(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return major === undefined ? undefined : `${major}.${minor}.${patch}`;
}

/** Why a version is outside a semver range, such as `is too old`; undefined if it is inside. */
export function versionProblem(version: string, range: string): string | undefined {
  if (satisfies(version, range)) return undefined;
  if (valid(range) !== null) return 'is another version';
  return gtr(version, range) ? 'is too new' : 'is too old';
}

/** An environment's required versions. */
export type Requirement = {
  /** The setting `cluster.kubernetesVersion`, such as `v1.31.0`; default: the pinned version. */
  readonly kubernetesVersion?: string | undefined;
  /** The major version of the environment's PostgreSQL data. */
  readonly postgresqlMajor?: number | undefined;
};

/** Suitable versions of the tool, as a semver range. */
export function versionRange(entry: ToolEntry, requirement: Requirement): string {
  const kubernetes = versionIn(requirement.kubernetesVersion ?? entry.version ?? '') ?? '';
  if (entry.kubernetes === 'exact') return kubernetes;
  if (entry.kubernetes === 'minor') {
    const [major, minor] = kubernetes.split('.').map(Number) as [number, number];
    return `${major}.${Math.max(0, minor - 1)} - ${major}.${minor + 1}`;
  }
  if (entry.name === 'postgresql' && requirement.postgresqlMajor !== undefined)
    return `${requirement.postgresqlMajor}.x`;
  // pg_dump refuses a newer server.
  if (entry.name === 'postgresql-client' && requirement.postgresqlMajor !== undefined)
    return `>=${requirement.postgresqlMajor}.0.0`;
  const minimum = versionIn(entry.minimum ?? '');
  return minimum === undefined ? '*' : `>=${minimum}`;
}

/** `helm 3.18.6 or newer`, `kubectl 1.30 to 1.32`, `postgresql 16.x`. */
export function describeTool(entry: ToolEntry, requirement: Requirement): string {
  const range = versionRange(entry, requirement);
  const words = range === '*' ? '' : range.replace(/^>=(.*)/, '$1 or newer').replace(' - ', ' to ');
  return `${entry.name} ${words}`.trimEnd();
}
