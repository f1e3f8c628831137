import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join, sep } from 'node:path';
import { cacheFolder } from './cache.ts';
import type { ToolEntry } from './manifest.ts';
import { askVersion } from './program-version.ts';
import { type Requirement, versionProblem, versionRange } from './versions.ts';

export type OnPath =
  | { readonly program: string; readonly version: string }
  /** `helm 3.9.0 at /usr/bin/helm is too old`, `not there`. */
  | { readonly reason: string };

/** Looks for a suitable version of the tool on PATH and in the manifest's extra folders. */
export async function findOnPath(entry: ToolEntry, requirement: Requirement): Promise<OnPath> {
  if (entry.path === false) return { reason: 'not taken from there' };
  const [program = entry.name, ...companions] = entry.path?.programs ?? [];
  let reason = 'not there';
  for (const candidate of candidates(program, entry.path?.folders ?? [])) {
    // Debian links single programs of PostgreSQL into PATH: the others are where the links lead.
    const real = companions.length === 0 ? candidate : realpathSync(candidate);
    const missing = companions.find((name) => !isExecutable(join(dirname(real), name)));
    if (missing !== undefined) {
      reason = `${real} has no ${missing} beside it`;
      continue;
    }
    const answer = await askVersion(real, entry);
    if ('problem' in answer) {
      reason = `${real} ${answer.problem}`;
      continue;
    }
    const { version } = answer;
    const problem = versionProblem(version, versionRange(entry, requirement));
    if (problem === undefined) return { program: real, version };
    reason = `${entry.name} ${version} at ${real} ${problem}`;
  }
  return { reason };
}

/** The folders of PATH without the tool cache: tools there are found by their recipes. */
export function pathFolders(): string[] {
  const own = cacheFolder() + sep;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.filter((folder) => folder !== '' && !`${folder}${sep}`.startsWith(own));
}

/** The program that a shell would run, then those in the extra folders, newest first. */
function candidates(program: string, folders: readonly string[]): string[] {
  const first = pathFolders()
    .map((folder) => join(folder, program))
    .find(isExecutable);
  const further = folders.flatMap(expand).map((folder) => join(folder, program));
  return [...(first === undefined ? [] : [first]), ...further.filter(isExecutable)];
}

/** The folders that a pattern with one `*` matches, highest number first. */
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

/** True for a file, not a folder, that may be executed. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
