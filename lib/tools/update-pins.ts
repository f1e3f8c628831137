import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shellWord } from '../ground/shell-words.ts';
import { TaskError } from '../runner/runner.ts';
import { cacheFolder } from './cache.ts';
import { loadManifest } from './manifest.ts';
import { getMise, miseConfig, miseEnvironment, type ReleasedTool } from './mise.ts';
import { lockFile, pinIn, pinnedPlatforms } from './pins.ts';
import { releaseFailure } from './release-failure.ts';
import { everySecond, type ToolContext } from './tool-context.ts';

const platformList = Object.values(pinnedPlatforms).join(',');

/**
 * Asks the publishers where each release of the manifest is and which checksum it has, for every platform, and writes the answers
 * to mise.lock. Returns a line for each that is still missing. Throws `TaskError` when a publisher names another checksum for a
 * version that is already pinned (nothing is written then), or when one could not be asked (the others are written).
 */
export async function updatePins(context: ToolContext): Promise<string[]> {
  const entries = await releasedTools();
  const mise = await getMise(context);
  if ('reason' in mise) throw new TaskError({ what: 'mise is not there', why: mise.reason });
  const failed: string[] = [];
  const before = await readFile(lockFile, 'utf8');
  const after = await withFolder(async (folder) => {
    const lock = join(folder, 'mise.lock');
    let text = before;
    await writeFile(join(folder, 'mise.toml'), miseConfig(entries));
    const $ = context.$({ cwd: folder, env: miseEnvironment(folder), quiet: true, nothrow: true });
    // One after another: mise writes nothing at all when one of several fails.
    for (const entry of entries) {
      const stop = everySecond((elapsed) => context.progress(`asking for ${entry.name}, ${elapsed}`));
      await writeFile(lock, text);
      const run = await $`${mise.program} --yes lock --platform ${platformList} ${entry.name}`;
      stop();
      context.signal.throwIfAborted();
      const answer = await readFile(lock, 'utf8');
      // mise drops a checksum for which it finds no file, and calls that a success.
      const lost = missingPins([entry], answer).some((line) => !missingPins([entry], text).includes(line));
      // What has no checksum is no pin: an answer without news is not written down.
      if (run.exitCode === 0 && !lost) text = sameChecksums(entry, text, answer) ? text : answer;
      else failed.push(`${entry.name}: ${releaseFailure(entry, entry.version ?? '', run.stderr).reason}`);
    }
    return text;
  });
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

/** The same as plain commands, with what `updateManifest` asks as remarks. */
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

/** The tools and platforms, one a line, whose release has no checksum in the text of a lockfile. */
export function missingPins(entries: readonly ReleasedTool[], text: string): string[] {
  return entries.flatMap(({ name, version, release }) =>
    Object.keys(pinnedPlatforms)
      .filter((platform) => release.systems?.includes(platform.split('-')[0] ?? '') ?? true)
      .filter((platform) => {
        const pin = pinIn(text, name, platform);
        return pin?.version !== version || pin?.checksum === undefined;
      })
      .map((platform) => `${name} ${version} on ${platform}`),
  );
}

const sameChecksums = ({ name }: ReleasedTool, one: string, other: string): boolean =>
  Object.keys(pinnedPlatforms).every(
    (platform) => pinIn(one, name, platform)?.checksum === pinIn(other, name, platform)?.checksum,
  );

export async function releasedTools(): Promise<ReleasedTool[]> {
  const { tools } = await loadManifest();
  return Object.values(tools).flatMap((entry) =>
    entry.release ? [{ ...entry, release: entry.release }] : [],
  );
}

/** A published version never changes: another checksum for it is a wrong file or an attack. */
function refuseChanges(entries: readonly ReleasedTool[], before: string, after: string): void {
  const changed = entries.flatMap(({ name, version }) =>
    Object.keys(pinnedPlatforms)
      .filter((platform) => {
        const [was, is] = [pinIn(before, name, platform), pinIn(after, name, platform)];
        return was?.version === version && was?.checksum !== undefined && was.checksum !== is?.checksum;
      })
      .map((platform) => `${name} ${version} on ${platform}: ${pinIn(after, name, platform)?.checksum}`),
  );
  if (changed.length === 0) return;
  throw new TaskError({
    what: 'a publisher names another checksum than the pinned one; nothing was written',
    why: changed.join('\n'),
    advice:
      'ask the publisher; if the new one is right, remove the tool from lib/tools/mise.lock and run again',
  });
}

/** A folder in the cache, above which mise looks for no configuration; removed afterwards. */
async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const temporary = join(cacheFolder(), 'temporary');
  await mkdir(temporary, { recursive: true });
  const folder = await mkdtemp(join(temporary, 'update-tools~'));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
