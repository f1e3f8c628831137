import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { platform } from './cache.ts';
import type { Failure } from './tool-context.ts';

/** Where `etc` is; tests set another folder. */
export const system = { root: '/' };

/** Packages in the shell of `nix develop`, by tool; flake.nix reads the file, too. */
export const nixPackagesFile = fileURLToPath(new URL('nixpkgs.json', import.meta.url));

/** Why downloaded programs do not start here, since glibc's loader is not in its place; undefined if they do. */
export function whyNoPrebuilt(place = platform): Failure | undefined {
  const other = isNixos() ? 'on NixOS' : place.endsWith('-musl') ? 'with musl' : undefined;
  return other && { reason: `downloaded programs do not start ${other}` };
}

/** How a person on NixOS gets the tool; undefined on other systems, and for what `nix develop` does not bring. */
export function nixosAdvice(tool: string): string | undefined {
  const brings = isNixos() && tool in JSON.parse(readFileSync(nixPackagesFile, 'utf8'));
  return brings ? 'enter `nix develop`, which brings it' : undefined;
}

function isNixos(): boolean {
  const etc = join(system.root, 'etc');
  if (existsSync(join(etc, 'NIXOS'))) return true;
  try {
    return /^ID="?nixos"?$/m.test(readFileSync(join(etc, 'os-release'), 'utf8'));
  } catch {
    return false;
  }
}
