import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { TaskError } from '@k8s-deployment/runner';
import { shellWord } from '../ground/shell-words.ts';
import { cacheFolder } from './cache.ts';
import { loadManifest } from './manifest.ts';
import {
  getMise,
  lockFile,
  miseConfig,
  miseEnvironment,
  pinIn,
  pinnedPlatforms,
  type ReleasedTool,
} from './mise.ts';
import { releaseFailure } from './release.ts';
import { type ToolContext, withProgress } from './tool-context.ts';

const platformList = Object.values(pinnedPlatforms).join(',');

/**
 * Asks the publishers for location and checksum of each release on each platform, and writes them to mise.lock.
 * Returns a line for each that is still missing. Throws `TaskError` if a publisher has another checksum for a pinned
 * version (and writes nothing), or if one is unreachable (and writes the others). `only`: names of tools.
 */
export async function updatePins(context: ToolContext, only?: readonly string[]): Promise<string[]> {
  const entries = (await releasedTools()).filter(({ name }) => only?.includes(name) ?? true);
  const mise = await getMise(context);
  if ('reason' in mise) throw new TaskError({ what: 'mise could not be installed', why: mise.reason });
  const failed: string[] = [];
  const before = await readFile(lockFile, 'utf8');
  // Above a folder of the cache, mise looks for no configuration.
  const temporary = join(cacheFolder(), 'temporary');
  await mkdir(temporary, { recursive: true });
  const folder = await mkdtemp(join(temporary, 'update-tools~'));
  let after = before;
  try {
    const lock = join(folder, 'mise.lock');
    await writeFile(join(folder, 'mise.toml'), miseConfig(entries));
    const $ = context.$({ cwd: folder, env: miseEnvironment(folder), quiet: true, nothrow: true });
    // One by one, as mise writes nothing if one of several fails.
    for (const entry of entries) {
      await writeFile(lock, after);
      const asking = $`${mise.program} --yes lock --platform ${platformList} ${entry.name}`;
      const run = await withProgress(context, `asking for ${entry.name}`, asking);
      const answer = await readFile(lock, 'utf8');
      const [had, has] = [after, answer].map((pins) => checksums([entry], pins));
      // If mise finds no file, it drops the checksum and succeeds.
      const lost = [...(had ?? [])].some(([line, checksum]) => checksum && !has?.get(line));
      // Without a new checksum, keeps the old text.
      if (run.exitCode === 0 && !lost) after = isDeepStrictEqual(had, has) ? after : answer;
      else failed.push(`${entry.name}: ${releaseFailure(entry, entry.version ?? '', run.stderr).reason}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  refuseChanges(entries, before, after);
  await writeFile(lockFile, after);
  const missing = missingPins(entries, after);
  if (failed.length === 0) return missing;
  throw new TaskError({
    what: `${failed.length} of ${entries.length} releases could not be looked up`,
    why: failed.join('\n'),
    advice: 'run again where the release hosts can be reached; what was found is in lib/tools/mise.lock',
  });
}

/** Plain commands of `update`, with those of `updateManifest` as comments. */
export async function updateCommands(): Promise<string[]> {
  const { mise, tools } = await loadManifest();
  const images = Object.values(tools).flatMap(({ image }) =>
    image ? [`# the digest of ${image.repository}:${image.tag}, and the sha256 of ${image.archive.url}`] : [],
  );
  const lines = miseConfig(await releasedTools())
    .trim()
    .split('\n')
    .map(shellWord);
  return [
    'folder=$(mktemp -d) && cp lib/tools/mise.lock "$folder/"',
    `printf '%s\\n' ${lines.join(' ')} > "$folder/mise.toml"`,
    `(cd "$folder" && mise trust && mise lock --platform ${platformList})`,
    'cp "$folder/mise.lock" lib/tools/',
    '# and for lib/tools/manifest.yaml:',
    `# npm view ${mise.package.replace('{platform}', '*')}@${mise.version} dist.integrity`,
    ...images,
  ];
}

/** Checksums in a lockfile's text by `name version on platform`; undefined for one that is missing. */
const checksums = (entries: readonly ReleasedTool[], text: string) =>
  new Map(
    entries.flatMap(({ name, version, release }) =>
      Object.keys(pinnedPlatforms)
        .filter((platform) => release.systems?.includes(platform.split('-')[0] ?? '') ?? true)
        .map((platform) => {
          const pin = pinIn(text, name, platform);
          const checksum = pin?.version === version ? pin?.checksum : undefined;
          return [`${name} ${version} on ${platform}`, checksum] as const;
        }),
    ),
  );

/** Tools and platforms without a checksum in a lockfile's text, one per line. */
export const missingPins = (entries: readonly ReleasedTool[], text: string): string[] =>
  [...checksums(entries, text)].flatMap(([line, checksum]) => (checksum === undefined ? [line] : []));

export const releasedTools = async (): Promise<ReleasedTool[]> =>
  Object.values((await loadManifest()).tools).filter(
    (entry): entry is ReleasedTool => entry.release !== undefined,
  );

/** Published versions never change: another checksum means a wrong file or an attack. */
function refuseChanges(entries: readonly ReleasedTool[], before: string, after: string): void {
  const now = checksums(entries, after);
  const changed = [...checksums(entries, before)]
    .filter(([line, checksum]) => checksum !== undefined && checksum !== now.get(line))
    .map(([line]) => `${line}: ${now.get(line)}`);
  if (changed.length > 0) throw otherChecksum(changed, 'lib/tools/mise.lock', 'the tool');
}

/**
 * The error for checksums that differ from those in `file`, which is unchanged; `pin` is what to remove there if they
 * are right.
 */
export const otherChecksum = (lines: readonly string[], file: string, pin: string): TaskError =>
  new TaskError({
    what: `a publisher has another checksum than the pinned one; ${file} was not changed`,
    why: lines.join('\n'),
    advice: `ask the publisher; if the new one is right, remove ${pin} from ${file} and run again`,
  });
