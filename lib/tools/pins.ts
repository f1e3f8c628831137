import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { platform } from './cache.ts';

/**
 * What a tool's release is on one platform, by the lockfile of mise: with an entry there, mise asks no API where the release is,
 * and takes nothing that has another checksum.
 */
export type Pin = {
  readonly version: string;
  readonly url: string | undefined;
  /** `sha256:…` of the publisher; `blake3:…` is only what mise counted itself after a download. */
  readonly checksum: string | undefined;
};

/** `mise.lock`, which `update-tools` writes. */
export const lockFile = fileURLToPath(new URL('mise.lock', import.meta.url));

/** Node's platforms for which releases are pinned, and mise's names of them. */
export const pinnedPlatforms: { readonly [platform: string]: string } = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'macos-x64',
  'darwin-arm64': 'macos-arm64',
};

/** The project's pin of a tool on this machine's platform, if it is one of this version. */
export function pinOf(tool: string, version: string): Pin | undefined {
  const pin = pinIn(readFileSync(lockFile, 'utf8'), tool, platform);
  return pin?.version === version ? pin : undefined;
}

/** The pin in the text of a lockfile, by the tool's name in the manifest and Node's name of a platform. */
export function pinIn(text: string, tool: string, place: string): Pin | undefined {
  const entry = text.split(`[[tools.${tool}]]\n`)[1]?.split('\n[[')[0] ?? '';
  const section = entry.split(`[tools.${tool}."platforms.${pinnedPlatforms[place]}"]\n`)[1]?.split('\n[')[0];
  if (section === undefined) return undefined;
  const value = (key: string, part: string) => new RegExp(`^${key} = "(.*)"$`, 'm').exec(part)?.[1];
  return {
    version: value('version', entry) ?? '',
    url: value('url', section),
    checksum: value('checksum', section),
  };
}
