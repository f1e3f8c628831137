import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { type CacheEntry, entryFor, platform } from './cache.ts';
import { keepTool } from './keep-tool.ts';
import type { ReleaseRecipe } from './manifest.ts';
import { getMise, miseConfig, miseEnvironment, type ReleasedTool } from './mise.ts';
import { isExecutable } from './on-path.ts';
import { lockFile, pinIn, pinOf } from './pins.ts';
import { releaseFailure } from './release-failure.ts';
import { whyUnreachable } from './release-host.ts';
import { everySecond, type ToolContext, type WayResult } from './tool-context.ts';

/** The cache entry of a published release; package and pinned checksum are part of it. */
export function releaseEntry(entry: ReleasedTool, version: string): CacheEntry {
  const recipe = [`${entry.release.package}@${version}`, pinOf(entry.name, version)?.checksum ?? ''];
  return entryFor(entry.name, version, 'release', recipe.join(' ').trim());
}

/** True if this operating system has a release. */
export const isPublished = ({ systems = [process.platform] }: ReleaseRecipe): boolean =>
  systems.includes(process.platform);

/**
 * Installs the published release with mise, which requires the checksum of the lockfile or the publisher. Throws
 * `TaskError` for a wrong checksum or a full disk: building the tool instead would hide that.
 */
export async function getRelease(
  entry: ReleasedTool,
  version: string,
  context: ToolContext,
): Promise<WayResult> {
  const { host } = entry.release;
  if (!isPublished(entry.release))
    return { reason: `published for ${entry.release.systems?.join(' and ')} only` };
  const unreachable = await whyUnreachable(host);
  if (unreachable !== undefined) return unreachable;
  return keepTool(releaseEntry(entry, version), entry, context, async (folder) => {
    const mise = await getMise(context);
    if ('reason' in mise) return mise;
    await writeFile(join(folder, 'mise.toml'), miseConfig([{ ...entry, version }]));
    await copyFile(lockFile, join(folder, 'mise.lock'));
    const stop = everySecond((elapsed) =>
      context.progress(`downloading ${entry.name} ${version}, ${elapsed}`),
    );
    const $ = context.$({ cwd: folder, env: miseEnvironment(folder), quiet: true, nothrow: true });
    const run = await $`${mise.program} --yes install`;
    stop();
    context.signal.throwIfAborted();
    if (run.exitCode !== 0) return releaseFailure(entry, version, run.stderr);
    // mise records the checksum; one that it computed itself proves nothing.
    const checked = pinIn(await readFile(join(folder, 'mise.lock'), 'utf8'), entry.name, platform);
    if (!checked?.checksum?.startsWith('sha'))
      return { reason: `${entry.release.package} ${version} has no published checksum, and none is pinned` };
    await rename(join(folder, 'data', 'installs', entry.name, version), join(folder, 'release'));
    await rm(join(folder, 'data'), { recursive: true });
    const name = entry.release.program ?? entry.name;
    const program = await findProgram(folder, 'release', name);
    return program === undefined
      ? { reason: `${entry.release.package} ${version} has no program ${name}` }
      : { program };
  });
}

/** Path relative to `root` of an executable file with this name, at most three folders deep. */
async function findProgram(root: string, folder: string, name: string): Promise<string | undefined> {
  const paths = await readdir(join(root, folder), { recursive: true });
  return paths
    .filter((path) => basename(path) === name && path.split(sep).length <= 4)
    .sort((one, other) => one.split(sep).length - other.split(sep).length)
    .map((path) => join(folder, path))
    .find((path) => isExecutable(join(root, path)));
}
