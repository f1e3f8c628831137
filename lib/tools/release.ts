import { createHash } from 'node:crypto';
import { accessSync, constants, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CacheEntry, cacheFolder, fillEntry, platform } from './cache.ts';
import { loadManifest, type ReleaseRecipe, type ToolEntry } from './manifest.ts';
import { installNpmPackage } from './npm-package.ts';
import { isReachable } from './release-host.ts';
import { everySecond, lastWords, type ToolContext, type WayResult } from './tool-context.ts';

const goNames: { readonly [node: string]: string } = { x64: 'amd64' };

/** The package as mise is asked for it, with version: `aqua:helm/helm@4.3.1`. */
export function misePackage(recipe: ReleaseRecipe, version: string): string {
  const name = recipe.package
    .replace('{os}', process.platform)
    .replace('{arch}', goNames[process.arch] ?? process.arch);
  return `${name}@${version}`;
}

/** The cache entry of a published release. */
export function releaseEntry(
  entry: ToolEntry & { readonly release: ReleaseRecipe },
  version: string,
): CacheEntry {
  const hash = createHash('sha256').update(misePackage(entry.release, version)).digest('hex').slice(0, 12);
  return { id: `${entry.name}-${version}-release-${hash}`, version };
}

/** Gets the published release with mise, which verifies the checksum that was published with it. */
export async function getRelease(
  entry: ToolEntry & { readonly release: ReleaseRecipe },
  version: string,
  context: ToolContext,
): Promise<WayResult> {
  const { host, program: name = entry.name } = entry.release;
  if (!(await isReachable(host))) return { reason: `release host ${host} unreachable` };
  let reason = '';
  const program = await fillEntry(releaseEntry(entry, version), context, async (folder) => {
    const mise = await getMise(context);
    if ('reason' in mise) {
      reason = mise.reason;
      return undefined;
    }
    const wanted = misePackage(entry.release, version);
    const stop = everySecond((elapsed) =>
      context.progress(`downloading ${entry.name} ${version}, ${elapsed}`),
    );
    const $ = context.$({ cwd: folder, env: miseEnvironment(), quiet: true, nothrow: true });
    const run = await $`${mise.program} --no-config --yes install-into ${wanted} ${join(folder, 'release')}`;
    stop();
    context.signal.throwIfAborted();
    if (run.exitCode !== 0) {
      reason = `mise cannot install ${wanted}: ${lastWords(run.stderr)}`;
      return undefined;
    }
    const found = await findProgram(folder, 'release', name);
    if (found === undefined) reason = `${wanted} has no program ${name} in it`;
    return found;
  });
  return program === undefined ? { reason } : { program };
}

/** The mise of the manifest, fetched from npm when it is first needed. */
async function getMise(context: ToolContext): Promise<WayResult> {
  const { mise } = await loadManifest();
  const entry = { id: `mise-${mise.version}`, version: mise.version };
  let reason = '';
  const program = await fillEntry(entry, context, async (folder) => {
    const result = await installNpmPackage({ ...mise, program: 'bin/mise' }, folder, context);
    if ('program' in result) return result.program;
    reason = result.reason;
    return undefined;
  });
  return program === undefined ? { reason } : { program };
}

/** A mise that knows nothing of the user's own: no configuration, no folders, no settings by environment; never sudo. */
function miseEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^_*MISE_/.test(name));
  const folder = join(cacheFolder(), 'mise', platform);
  return {
    ...Object.fromEntries(kept),
    MISE_DATA_DIR: join(folder, 'data'),
    MISE_CACHE_DIR: join(folder, 'cache'),
    MISE_CONFIG_DIR: join(folder, 'config'),
    MISE_STATE_DIR: join(folder, 'state'),
    MISE_SYSTEM_DIR: join(folder, 'system'),
    MISE_SYSTEM_PACKAGES_SUDO: 'false',
    // Otherwise a host of mise's own is asked for versions, and told which tools are used.
    MISE_USE_VERSIONS_HOST: 'false',
    RUST_BACKTRACE: '0',
    NO_COLOR: '1',
    MISE_CEILING_PATHS: cacheFolder(),
  };
}

/** An executable file of this name, at most three folders deep; its path from `root` on. */
async function findProgram(
  root: string,
  folder: string,
  name: string,
  depth = 3,
): Promise<string | undefined> {
  const items = await readdir(join(root, folder), { withFileTypes: true });
  if (items.some((item) => isProgram(root, folder, item, name))) return join(folder, name);
  if (depth === 0) return undefined;
  for (const item of items.filter((candidate) => candidate.isDirectory())) {
    const found = await findProgram(root, join(folder, item.name), name, depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isProgram(root: string, folder: string, item: Dirent, name: string): boolean {
  if (item.name !== name || item.isDirectory()) return false;
  try {
    accessSync(join(root, folder, name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
