import { join } from 'node:path';
import { passedOn } from '../ground/variables.ts';
import { cacheFolder, platform } from './cache.ts';
import { keepTool } from './keep-tool.ts';
import { loadManifest, type ReleaseRecipe, type ToolEntry } from './manifest.ts';
import { installNpmPackage } from './npm-package.ts';
import type { ToolContext, WayResult } from './tool-context.ts';

export type ReleasedTool = ToolEntry & { readonly release: ReleaseRecipe };

/** The mise of the manifest, fetched from npm when it is first needed. */
export async function getMise(context: ToolContext): Promise<WayResult> {
  const { mise } = await loadManifest();
  return keepTool(
    { id: `mise-${mise.version}`, version: mise.version },
    { name: 'mise', versionCommand: ['--version'] },
    context,
    (folder) => installNpmPackage({ ...mise, program: 'bin/mise' }, folder, context),
  );
}

/** A `mise.toml` that asks for these tools, each under its name in the manifest. */
export function miseConfig(entries: readonly ReleasedTool[]): string {
  const lines = (value: (entry: ReleasedTool) => string) =>
    entries.map((entry) => `${entry.name} = ${JSON.stringify(value(entry))}\n`).join('');
  const aliases = lines(({ release }) => release.package);
  return `[tool_alias]\n${aliases}\n[tools]\n${lines(({ version = '' }) => version)}`;
}

/** Settings of mise that a user's environment may make: tokens, mirrors and patience. */
const usersSettings =
  /^MISE_(GITHUB_TOKEN|GITHUB_ENTERPRISE_TOKEN|URL_REPLACEMENTS|HTTP_TIMEOUT|HTTP_DOWNLOAD_TIMEOUT|HTTP_RETRIES|FETCH_REMOTE_VERSIONS_TIMEOUT)$/;

/**
 * The environment for a mise that works in `folder` alone and knows nothing of the user's own mise: no configuration, no folders,
 * no other settings; never sudo. What it installs lies under `data/installs/<tool>/<version>`.
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
    // Otherwise a host of mise's own is asked for versions, and told which tools are used.
    MISE_USE_VERSIONS_HOST: 'false',
    RUST_BACKTRACE: '0',
    NO_COLOR: '1',
  };
}
