import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { platform } from './cache.ts';

/**
 * A tool's release on one platform, from mise's lockfile. With an entry, mise needs no API to find the release, and accepts
 * no other checksum.
 */
export type Pin = {
  readonly version: string;
  readonly url: string | undefined;
  /** `sha256:…` from the publisher; `blake3:…` is only what mise computed after a download. */
  readonly checksum: string | undefined;
};

/** `mise.lock`, written by `update-tools`. */
export const lockFile = fileURLToPath(new URL('mise.lock', import.meta.url));

/** Platforms with pinned releases: Node's name, and mise's. */
export const pinnedPlatforms: { readonly [platform: string]: string } = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'macos-x64',
  'darwin-arm64': 'macos-arm64',
};

/** The pin of a tool for this platform; undefined if it pins another version. */
export function pinOf(tool: string, version: string): Pin | undefined {
  const pin = pinIn(readFileSync(lockFile, 'utf8'), tool, platform);
  return pin?.version === version ? pin : undefined;
}

/** The pin in a lockfile's text, by the tool's name in the manifest and Node's name of the platform. */
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
