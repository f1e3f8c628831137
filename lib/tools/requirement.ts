import type { ToolEntry } from './manifest.ts';
import { versionIn } from './versions.ts';

/** What an environment requires of its tools. */
export type Requirement = {
  /** The setting `cluster.kubernetesVersion`, such as `v1.31.0`; default: the pinned version. */
  readonly kubernetesVersion?: string | undefined;
  /** The major version of the environment's PostgreSQL data. */
  readonly postgresqlMajor?: number | undefined;
};

/** The suitable versions of the tool, as a semver range. */
export function versionRange(entry: ToolEntry, requirement: Requirement): string {
  const kubernetes = versionIn(requirement.kubernetesVersion ?? entry.version ?? '') ?? '';
  if (entry.kubernetes === 'exact') return kubernetes;
  if (entry.kubernetes === 'minor') {
    const [major, minor] = kubernetes.split('.').map(Number) as [number, number];
    return `${major}.${Math.max(0, minor - 1)} - ${major}.${minor + 1}`;
  }
  if (entry.name === 'postgresql' && requirement.postgresqlMajor !== undefined)
    return `${requirement.postgresqlMajor}.x`;
  const minimum = versionIn(entry.minimum ?? '');
  return minimum === undefined ? '*' : `>=${minimum}`;
}

/** `helm 3.18.6 or newer`, `kubectl 1.30 to 1.32`, `postgresql 16.x`. */
export function describeTool(entry: ToolEntry, requirement: Requirement): string {
  const range = versionRange(entry, requirement);
  const words = range === '*' ? '' : range.replace(/^>=(.*)/, '$1 or newer').replace(' - ', ' to ');
  return `${entry.name} ${words}`.trimEnd();
}
