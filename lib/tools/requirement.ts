import type { ToolEntry } from './manifest.ts';
import { describeNeed, parseVersion, type Version, type VersionNeed } from './versions.ts';

/** What an environment asks of its tools. */
export type Requirement = {
  /** The setting `cluster.kubernetesVersion`, such as `v1.31.0`; without it, the version that the manifest pins. */
  readonly kubernetesVersion?: string | undefined;
  /** The major version of PostgreSQL that an environment's data was made with. */
  readonly postgresqlMajor?: number | undefined;
};

/** The versions of this tool that will do. */
export function versionNeed(entry: ToolEntry, requirement: Requirement): VersionNeed {
  const kubernetes = parse(
    requirement.kubernetesVersion ?? (entry.kubernetes === undefined ? undefined : entry.version),
  );
  return {
    minimum: parse(entry.minimum),
    ...(entry.kubernetes === 'exact' ? { exact: kubernetes } : {}),
    ...(entry.kubernetes === 'minor' ? { around: kubernetes } : {}),
    ...(entry.name === 'postgresql' ? { major: requirement.postgresqlMajor } : {}),
  };
}

/** `helm 3.18.6 or newer`. */
export function describeTool(entry: ToolEntry, requirement: Requirement): string {
  return `${entry.name} ${describeNeed(versionNeed(entry, requirement))}`.trimEnd();
}

function parse(text: string | undefined): Version | undefined {
  return text === undefined ? undefined : parseVersion(text);
}
