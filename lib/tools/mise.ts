import { join } from 'node:path';
import { passedOn } from '../ground/variables.ts';
import { cacheFolder, platform } from './cache.ts';
import { keepTool } from './keep-tool.ts';
import { loadManifest, type ReleaseRecipe, type ToolEntry } from './manifest.ts';
import { installNpmPackage } from './npm-package.ts';
import type { ToolContext, WayResult } from './tool-context.ts';

export type ReleasedTool = ToolEntry & { readonly release: ReleaseRecipe };

export const hasRelease = (entry: ToolEntry): entry is ReleasedTool => entry.release !== undefined;

/** The pinned mise, downloaded from npm on first use. */
export async function getMise(context: ToolContext): Promise<WayResult> {
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
