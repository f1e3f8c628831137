import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import type { Document, Scalar, YAMLMap } from 'yaml';
import { shellWord } from '../ground/shell-words.ts';
import { npmEnvironment, passedOn } from '../ground/variables.ts';
import { cacheFolder } from './cache.ts';
import { currentPins } from './image.ts';
import { loadManifest, type Manifest, manifestFile, manifestOf } from './manifest.ts';
import { reasonOf } from './registry.ts';
import {
  getMise,
  lockFile,
  miseConfig,
  miseEnvironment,
  pinIn,
  pinnedPlatforms,
  type ReleasedTool,
  releaseFailure,
} from './release.ts';
import { lastWords, type ToolContext, withProgress } from './tool-context.ts';

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
  const changed: string[] = [];
  // Above a folder of the cache, mise looks for no configuration.
  const temporary = join(cacheFolder(), 'temporary');
  await mkdir(temporary, { recursive: true });
  const folder = await mkdtemp(join(temporary, 'update-tools~'));
  let pins = await readFile(lockFile, 'utf8');
  try {
    const lock = join(folder, 'mise.lock');
    await writeFile(join(folder, 'mise.toml'), miseConfig(entries));
    const $ = context.$({ cwd: folder, env: miseEnvironment(folder), quiet: true, nothrow: true });
    // One by one, as mise writes nothing if one of several fails.
    for (const entry of entries) {
      await writeFile(lock, pins);
      const asking = $`${mise.program} --yes lock --platform ${platformList} ${entry.name}`;
      const run = await withProgress(context, `asking for ${entry.name}`, asking);
      const answer = await readFile(lock, 'utf8');
      const now = checksums(entries, answer);
      const others = [...checksums(entries, pins)].filter(([line, checksum]) => checksum !== now.get(line));
      const replaced = others.filter(([, checksum]) => checksum !== undefined).map(([line]) => line);
      // If mise finds no file, it drops the checksum and succeeds.
      if (run.exitCode !== 0 || replaced.some((line) => now.get(line) === undefined)) {
        failed.push(`${entry.name}: ${releaseFailure(entry, run.stderr).reason}`);
        continue;
      }
      // Published versions never change: another checksum means a wrong file or an attack.
      changed.push(...replaced.map((line) => `${line}: ${now.get(line)}`));
      // Without a new checksum, keeps the old text.
      if (others.length > 0) pins = answer;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  if (changed.length > 0) throw otherChecksum(changed, 'lib/tools/mise.lock', 'the tool');
  await writeFile(lockFile, pins);
  const missing = missingPins(entries, pins);
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

/**
 * The error for checksums that differ from those in `file`, which is unchanged; `pin` is what to remove there if they
 * are right.
 */
const otherChecksum = (lines: readonly string[], file: string, pin: string): TaskError =>
  new TaskError({
    what: `a publisher has another checksum than the pinned one; ${file} was not changed`,
    why: lines.join('\n'),
    advice: `ask the publisher; if the new one is right, remove ${pin} from ${file} and run again`,
  });

type Pin = { readonly path: readonly string[]; readonly value: string };

/**
 * Adds missing checksums to the manifest (mise's packages, images) and returns a line for each that is still missing.
 * If a publisher's differs from the pinned one, throws `TaskError` and writes nothing.
 */
export async function updateManifest(context: ToolContext, file = manifestFile): Promise<string[]> {
  const { parseDocument } = await import('yaml');
  let text = await readFile(file, 'utf8');
  const document = parseDocument(text, { merge: true });
  const manifest = manifestOf(document.toJS());
  const missing: string[] = [];
  const asking = Promise.all([misePins(manifest, context, missing), imagePins(manifest, context, missing)]);
  const pins = (await withProgress(context, 'asking for checksums', asking)).flat();
  const changed = pins.filter(
    ({ path, value }) => ![undefined, value].includes(document.getIn(path) as string),
  );
  if (changed.length > 0) {
    const lines = changed.map(({ path, value }) => `${path.join('.')}: ${value}`);
    throw otherChecksum(lines, 'lib/tools/manifest.yaml', 'the pinned one');
  }
  const fresh = pins.filter(({ path }) => !document.hasIn(path));
  for (const { path, value } of fresh)
    text = withLine(text, parseDocument(text, { merge: true }), path, value);
  if (fresh.length > 0) await writeFile(file, text);
  return missing;
}

/** The text with one more pair at the start of a map, otherwise unchanged. */
function withLine(text: string, document: Document, path: readonly string[], value: string): string {
  const map = document.getIn(path.slice(0, -1), true) as YAMLMap<Scalar>;
  const start = map.items[0]?.key.range?.[0] ?? 0;
  const indent = text.slice(text.lastIndexOf('\n', start) + 1, start);
  return `${text.slice(0, start)}${path.at(-1)}: ${value}\n${indent}${text.slice(start)}`;
}

async function misePins({ mise }: Manifest, context: ToolContext, missing: string[]): Promise<Pin[]> {
  const $ = context.$({ env: npmEnvironment(passedOn(process.env)), quiet: true, nothrow: true });
  const pins: Pin[] = [];
  for (const platform of Object.keys(pinnedPlatforms)) {
    const wanted = `${mise.package.replace('{platform}', platform)}@${mise.version}`;
    const npm = await $`npm view --loglevel=error --fetch-retries=0 ${wanted} dist.integrity`;
    const value = npm.stdout.trim();
    if (npm.exitCode === 0 && value !== '') pins.push({ path: ['mise', 'integrity', platform], value });
    else missing.push(`mise ${mise.version} on ${platform}: ${lastWords(npm.stderr)}`);
  }
  return pins;
}

async function imagePins({ tools }: Manifest, context: ToolContext, missing: string[]): Promise<Pin[]> {
  const pins: Pin[] = [];
  for (const [name, { image }] of Object.entries(tools)) {
    if (image === undefined) continue;
    try {
      const { digest, sha256 } = await currentPins(image, context.signal);
      pins.push({ path: ['tools', name, 'image', 'digest'], value: digest });
      pins.push({ path: ['tools', name, 'image', 'archive', 'sha256'], value: sha256 });
    } catch (error) {
      missing.push(`${name} ${image.tag} in its image: ${reasonOf(error as Error)}`);
    }
  }
  return pins;
}
