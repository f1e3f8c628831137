import { readFileSync } from 'node:fs';
import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { TaskError } from '@k8s-deployment/runner';
import { passedOn } from '../ground/variables.ts';
import { cacheFolder, isExecutable, platform, refuseFullDisk } from './cache.ts';
import { loadManifest, type ReleaseRecipe, type ToolWith } from './manifest.ts';
import { installNpmPackage } from './npm-package.ts';
import { whyNoPrebuilt } from './prebuilt.ts';
import { keepTool } from './program-version.ts';
import { whyUnreachable } from './release-host.ts';
import {
  type Detail,
  type Failure,
  lastWords,
  type Making,
  type ToolContext,
  type WayResult,
  withProgress,
} from './tool-context.ts';

export type ReleasedTool = ToolWith<'release'>;

/** The pinned mise, downloaded from npm on first use. */
export async function getMise(context: ToolContext): Promise<WayResult> {
  const problem = whyNoPrebuilt();
  if (problem !== undefined) return problem;
  const { mise } = await loadManifest();
  return keepTool(
    `mise-${mise.version}`,
    { name: 'mise', version: mise.version, versionCommand: ['--version'] },
    context,
    (folder) => installNpmPackage({ ...mise, program: 'bin/mise' }, folder, context),
  );
}

/** A `mise.toml` for these tools. */
export function miseConfig(entries: readonly ReleasedTool[]): string {
  const lines = (value: (entry: ReleasedTool) => string) =>
    entries.map((entry) => `${entry.name} = ${JSON.stringify(value(entry))}\n`).join('');
  const aliases = lines(({ release }) => release.package);
  return `[tool_alias]\n${aliases}\n[tools]\n${lines(({ version }) => version)}`;
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
function pinnedChecksum({ name, version }: ReleasedTool): string | undefined {
  const pin = pinIn(readFileSync(lockFile, 'utf8'), name, platform);
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

/** A published release's package and pinned checksum. */
export const releaseRecipe = (entry: ReleasedTool): string =>
  `${entry.release.package}@${entry.version} ${pinnedChecksum(entry) ?? ''}`.trim();

/** True if this operating system has a release. */
export const isPublished = ({ systems = [process.platform] }: ReleaseRecipe): boolean =>
  systems.includes(process.platform);

export async function whyNotReleased({ release }: ReleasedTool): Promise<Failure | undefined> {
  if (!isPublished(release)) return { reason: `published for ${release.systems?.join(' and ')} only` };
  return whyNoPrebuilt() ?? whyUnreachable(release.host);
}

/**
 * Installs the published release with mise, which requires the checksum of the lockfile or the publisher. Throws
 * `TaskError` for a wrong checksum or a full disk: building the tool instead would hide that.
 */
export async function getRelease(making: Making<ReleasedTool>): Promise<WayResult> {
  const { entry, folder } = making;
  const { name, version, release } = entry;
  const mise = await getMise(making);
  if ('reason' in mise) return mise;
  await writeFile(join(folder, 'mise.toml'), miseConfig([entry]));
  await copyFile(lockFile, join(folder, 'mise.lock'));
  const $ = making.$({ cwd: folder, env: miseEnvironment(folder), quiet: true, nothrow: true });
  const install = $`${mise.program} --yes install`;
  const detail = downloaded(install.stderr);
  const run = await withProgress(making, `downloading ${name} ${version}`, install, detail);
  if (run.exitCode !== 0) return releaseFailure(entry, run.stderr);
  // mise records the checksum; one that it computed itself proves nothing.
  const checked = pinIn(await readFile(join(folder, 'mise.lock'), 'utf8'), name, platform);
  if (!checked?.checksum?.startsWith('sha'))
    return { reason: `${release.package} ${version} has no published checksum, and none is pinned` };
  await rename(join(folder, 'data', 'installs', name, version), join(folder, 'release'));
  await rm(join(folder, 'data'), { recursive: true });
  const wanted = release.program ?? name;
  const program = await findProgram(folder, 'release', wanted);
  return program === undefined
    ? { reason: `${release.package} ${version} has no program ${wanted}` }
    : { program };
}

/** How much mise has downloaded; it says so every 3 s: `kwok@0.8.0  downloading  12s  19.2/63.9 MB · 1.7 MB/s`. */
function downloaded(stream: Readable): () => Detail {
  let detail: Detail = {};
  createInterface({ input: stream }).on('line', (line) => {
    const [, done, total, unit] = / {2}([\d.]+)\/([\d.]+) (\w?B)\b/.exec(line) ?? [];
    if (unit === undefined) return;
    detail = { text: `${done} of ${total} ${unit}`, share: { done: Number(done), total: Number(total) } };
  });
  return () => detail;
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

/** Why mise failed, by its stderr, with advice. Throws `TaskError` for a full disk or wrong checksum. */
export function releaseFailure(entry: ReleasedTool, stderr: string): Failure {
  const last = stderr.slice(Math.max(0, stderr.indexOf('mise ERROR')));
  refuseFullDisk(last);
  if (/(checksum|size) mismatch/i.test(last)) throw wrongFile(entry, last);
  if (/rate limit: 0\/|rate limit exceeded/i.test(last)) {
    const [, seconds] = /resets at (\d+)/i.exec(last) ?? [];
    const reset = seconds && new Date(Number(seconds) * 1000).toISOString().slice(11, 16);
    const until = reset ? ` until ${reset} UTC` : '';
    return {
      reason: `GitHub's rate limit is used up${until}`,
      advice: `set GITHUB_TOKEN, or wait${until}`,
    };
  }
  if (/401 Unauthorized|bad credentials/i.test(last)) {
    const name = /token from (\w+)/.exec(last)?.[1] ?? 'GITHUB_TOKEN';
    return { reason: `GitHub refuses the token in ${name}`, advice: `renew or unset ${name}` };
  }
  if (/invalid peer certificate|TLS certificate/i.test(last))
    return {
      reason: `the host's certificate is not trusted (TLS: ${after(last, 'invalid peer certificate: ').split(';')[0]})`,
      advice: "set SSL_CERT_FILE to your proxy's certificate authority",
    };
  if (/dns error|failed to lookup address/i.test(last))
    return {
      reason: "a host's name was not found (DNS)",
      advice: 'check the name server, or set HTTPS_PROXY behind a proxy',
    };
  if (/timed out/i.test(last))
    return {
      reason: 'the host did not answer (timeout)',
      advice: 'try again; on a slow network with a longer MISE_HTTP_TIMEOUT',
    };
  return { reason: `mise could not install ${entry.release.package}: ${lastWords(last)}` };
}

const after = (text: string, words: string): string => text.split(words)[1]?.split('\n')[0] ?? 'no details';

function wrongFile(entry: ReleasedTool, text: string): TaskError {
  const [expected, actual] = ['Expected', 'Actual'].map((word) => after(text, `${word}:`).trim());
  const whose = pinnedChecksum(entry) ? 'lib/tools/mise.lock has' : 'its publisher has';
  return new TaskError({
    what: `the downloaded file for ${entry.name} ${entry.version} is not the published one; it was not kept`,
    why: `${whose} the checksum ${expected}, the file has ${actual}`,
    advice: `check if a proxy or a login page answers instead of ${entry.release.host}, then run again`,
  });
}
