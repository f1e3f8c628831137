import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { platform } from './cache.ts';

/**
 * A tool's release for one platform in mise's lockfile. With it, mise needs no API to find the release and accepts no
 * other checksum.
 */
export type Pin = {
  readonly version: string;
  readonly url: string | undefined;
  /** `sha256:…` from the publisher; mise computes `blake3:…` itself after a download. */
  readonly checksum: string | undefined;
};

/** `mise.lock`, written by `update-tools`. */
export const lockFile = fileURLToPath(new URL('mise.lock', import.meta.url));

/** Platforms with pinned releases: Node's names and mise's. */
export const pinnedPlatforms: { readonly [platform: string]: string } = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'macos-x64',
  'darwin-arm64': 'macos-arm64',
};

/** The tool's pin for this platform; undefined if another version is pinned. */
export function pinOf(tool: string, version: string): Pin | undefined {
  const pin = pinIn(readFileSync(lockFile, 'utf8'), tool, platform);
  return pin?.version === version ? pin : undefined;
}

/** The pin in a lockfile's text, by names of the manifest and Node's platforms. */
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
