import { readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, sep } from 'node:path';
import { cacheFolder, isExecutable } from './cache.ts';
import type { ToolEntry } from './manifest.ts';
import { askVersion } from './program-version.ts';
import type { Failure } from './tool-context.ts';
import { type Requirement, versionProblem, versionRange } from './versions.ts';

/**
 * A suitable version of the tool on PATH or in the manifest's extra folders, or a reason such as `not there` or
 * `helm 3.9.0 at /usr/bin/helm is too old`.
 */
export async function findOnPath(
  entry: ToolEntry,
  requirement: Requirement,
): Promise<{ readonly program: string; readonly version: string } | Failure> {
  if (entry.path === false) return { reason: 'not taken from there' };
  const [program = entry.name, ...companions] = entry.path?.programs ?? [];
  let reason = 'not there';
  for (const candidate of candidates(program, entry.path?.folders ?? [])) {
    // Debian links only some programs of PostgreSQL into PATH; the others are next to the link's target.
    const real = companions.length === 0 ? candidate : realpathSync(candidate);
    const missing = companions.find((name) => !isExecutable(join(dirname(real), name)));
    if (missing !== undefined) {
      reason = `${real} has no ${missing} beside it`;
      continue;
    }
    const answer = await askVersion(real, entry);
    if ('reason' in answer) {
      reason = `${real} ${answer.reason}`;
      continue;
    }
    const { version } = answer;
    const problem = versionProblem(version, versionRange(entry, requirement));
    if (problem === undefined) return { program: real, version };
    reason = `${entry.name} ${version} at ${real} ${problem}`;
  }
  return { reason };
}

/** Folders of PATH except the tool cache, whose tools are found by their recipes. */
export function pathFolders(): string[] {
  const own = cacheFolder() + sep;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.filter((folder) => folder !== '' && !`${folder}${sep}`.startsWith(own));
}

/** The program that a shell would run, then those in extra folders, newest first. */
function candidates(program: string, folders: readonly string[]): string[] {
  const first = pathFolders()
    .map((folder) => join(folder, program))
    .find(isExecutable);
  const further = folders.flatMap(expand).map((folder) => join(folder, program));
  return [...(first === undefined ? [] : [first]), ...further.filter(isExecutable)];
}

/** Folders that match a pattern with one `*`, highest number first. */
function expand(pattern: string): string[] {
  const [before, after] = pattern.split('*');
  if (before === undefined || after === undefined) return [pattern];
  try {
    const names = readdirSync(before).sort((a, b) => Number.parseFloat(b) - Number.parseFloat(a));
    return names.map((name) => before + name + after);
  } catch {
    return [];
  }
}
