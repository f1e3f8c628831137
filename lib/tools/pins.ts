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

let known: ReturnType<typeof readPins> | undefined;

/** The project's pin of a tool on this machine's platform, if it is one of this version. Read once per process. */
export function pinOf(tool: string, version: string): Pin | undefined {
  known ??= readPins(readFileSync(lockFile, 'utf8'));
  const pin = known(tool, platform);
  return pin?.version === version ? pin : undefined;
}

/** The pins in the text of a lockfile, by the tool's name in the manifest and Node's name of a platform. */
export function readPins(text: string): (tool: string, platform: string) => Pin | undefined {
  const pins = new Map<string, { [key: string]: string }>();
  let section: { [key: string]: string } = {};
  let version = '';
  for (const line of text.split('\n')) {
    const [, tool, place] = /^\[tools\.([\w-]+)\."platforms\.([\w-]+)"\]$/.exec(line) ?? [];
    const [, key = '', value = ''] = /^(\w+) = "(.*)"$/.exec(line) ?? [];
    if (tool !== undefined) {
      section = { version };
      pins.set(`${tool} ${place}`, section);
    } else if (line.startsWith('[')) section = {};
    else if (key === 'version') version = value;
    else section[key] = value;
  }
  return (tool, place) => {
    const pin = pins.get(`${tool} ${pinnedPlatforms[place]}`);
    return pin && { version: pin.version ?? '', url: pin.url, checksum: pin.checksum };
  };
}
