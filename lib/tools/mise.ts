import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { passedOn } from '../ground/variables.ts';
import { cacheFolder, platform } from './cache.ts';
import { keepTool } from './keep-tool.ts';
import { loadManifest, type ToolWith } from './manifest.ts';
import { installNpmPackage } from './npm-package.ts';
import { whyNoPrebuilt } from './prebuilt.ts';
import type { ToolContext, WayResult } from './tool-context.ts';

export type ReleasedTool = ToolWith<'release'>;

/** The pinned mise, downloaded from npm on first use. */
export async function getMise(context: ToolContext): Promise<WayResult> {
  const problem = whyNoPrebuilt();
  if (problem !== undefined) return problem;
  const { mise } = await loadManifest();
  return keepTool(
    { id: `mise-${mise.version}`, version: mise.version },
    { name: 'mise', versionCommand: ['--version'] },
    context,
    (folder) => installNpmPackage({ ...mise, program: 'bin/mise' }, folder, context),
  );
}

/** A `mise.toml` for these tools. */
export function miseConfig(entries: readonly ReleasedTool[]): string {
  const lines = (value: (entry: ReleasedTool) => string) =>
    entries.map((entry) => `${entry.name} = ${JSON.stringify(value(entry))}\n`).join('');
  const aliases = lines(({ release }) => release.package);
  return `[tool_alias]\n${aliases}\n[tools]\n${lines(({ version = '' }) => version)}`;
}

/** Settings of mise for users: tokens, mirrors and timeouts. */
const usersSettings =
  /^MISE_(GITHUB_TOKEN|GITHUB_ENTERPRISE_TOKEN|URL_REPLACEMENTS|HTTP_TIMEOUT|HTTP_DOWNLOAD_TIMEOUT|HTTP_RETRIES|FETCH_REMOTE_VERSIONS_TIMEOUT)$/;

/**
 * The environment for mise: it uses only `folder`, ignores the user's configuration, folders and other settings, and
 * never uses sudo. It installs into `data/installs/<tool>/<version>`.
 */
export function miseEnvironment(folder: string): NodeJS.ProcessEnv {
  const kept = Object.entries(passedOn(process.env)).filter(
    ([name]) => !/^_*MISE_/.test(name) || usersSettings.test(name),
  );
  const own = join(cacheFolder(), 'mise', platform);
  return {
    ...Object.fromEntries(kept),
    MISE_DATA_DIR: join(folder, 'data'),
    MISE_CACHE_DIR: join(own, 'cache'),
    MISE_CONFIG_DIR: join(own, 'config'),
    MISE_STATE_DIR: join(own, 'state'),
    MISE_SYSTEM_DIR: join(own, 'system'),
    MISE_TRUSTED_CONFIG_PATHS: folder,
    MISE_CEILING_PATHS: cacheFolder(),
    MISE_SYSTEM_PACKAGES_SUDO: 'false',
    // Otherwise mise asks its own host for versions and thereby tells it which tools are used.
    MISE_USE_VERSIONS_HOST: 'false',
    RUST_BACKTRACE: '0',
    NO_COLOR: '1',
  };
}

/** `mise.lock`, written by `update tools`. */
export const lockFile = fileURLToPath(new URL('mise.lock', import.meta.url));

/** Platforms with pinned releases: Node's names and mise's. */
export const pinnedPlatforms: { readonly [platform: string]: string } = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'macos-x64',
  'darwin-arm64': 'macos-arm64',
};

/** The tool's pinned checksum for this platform; undefined if another version is pinned. */
export function pinnedChecksum(tool: string, version: string): string | undefined {
  const pin = pinIn(readFileSync(lockFile, 'utf8'), tool, platform);
  return pin?.version === version ? pin.checksum : undefined;
}

/**
 * A tool's release in a lockfile's text, by names of the manifest and Node's platforms. With it, mise needs no API to
 * find the release and accepts no other checksum: `sha256:…` of the publisher, or `blake3:…`, computed by mise itself.
 */
export function pinIn(text: string, tool: string, place: string) {
  const entry = text.split(`[[tools.${tool}]]\n`)[1]?.split('\n[[')[0] ?? '';
  const section = entry.split(`[tools.${tool}."platforms.${pinnedPlatforms[place]}"]\n`)[1]?.split('\n[')[0];
  if (section === undefined) return undefined;
  const value = (key: string, part: string) => new RegExp(`^${key} = "(.*)"$`, 'm').exec(part)?.[1];
  const [url, checksum] = [value('url', section), value('checksum', section)];
  return { version: value('version', entry) ?? '', url, checksum };
}
