import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { portBlock } from '../../../lib/cluster/embedded/ports.ts';
import type { ProviderName } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { loader } from '../../../lib/runner/tests/rig/ended.ts';
import { cloneKey } from '../../../lib/settings/environment.ts';
import { tasks } from '../../../tasks/all.ts';
import { outputOf } from '../../rig/programs.ts';

export type Transcript = { readonly exitCode: number; readonly text: string };

const examples: { readonly [task: string]: readonly string[] } = {
  'install-tier': ['apps'],
  'diff-tier': ['apps'],
  'install-app': ['app1'],
  'diff-app': ['app1'],
  'test-app': ['app1'],
  'uninstall-app': ['app1'],
  'test-ingress': ['app1', '/admin'],
  'new-app': ['app3', '--secrets', 'sops'],
  'remove-app': ['app1'],
  'new-environment': ['qa'],
  render: ['--output', 'manifests'],
  rollback: ['app1-back', '3'],
  'restore-database': ['backups/database', 'app2'],
  'restore-vault': ['backups/vault'],
  'build-backend-verification': ['1.2.0'],
  'build-push-backend-verification': ['1.2.0'],
  'build-toolset': ['1.2.0'],
};

export const publicTasks = tasks.filter((task) => !task.private).map(({ name }) => name);

/** Without programs and home. */
const nowhere = { PATH: '', HOME: '/nonexistent', XDG_CACHE_HOME: '/nonexistent' };

const printer = fileURLToPath(new URL('print-transcripts.ts', import.meta.url));

/**
 * The dry run of each command line in a project's folder, by its sources or by a bundle of them: in one process, as one
 * for each would take minutes.
 */
export async function printedBy(
  folder: string,
  lines: readonly (readonly string[])[],
  all = join(folder, 'tasks', 'all.ts'),
): Promise<Transcript[]> {
  const args = ['--import', loader, printer, folder, all, JSON.stringify(lines)];
  return JSON.parse(await outputOf({ folder, env: nowhere }, process.execPath, args));
}

export async function dryRuns(
  folder: string,
  words: readonly (readonly string[])[],
  all?: string,
): Promise<ReadonlyMap<string, Transcript>[]> {
  const lines = words.flatMap((more) =>
    publicTasks.map((name) => [name, ...(examples[name] ?? []), ...more]),
  );
  const found = (await printedBy(folder, lines, all)).values();
  return words.map(() => new Map(publicTasks.map((name) => [name, found.next().value as Transcript])));
}

/**
 * The same on every machine: without the clone's key, its ports, the platform, the way around root, and what images are
 * built from.
 */
export function normalise(text: string, folder: string): string {
  const key = cloneKey('development', folder);
  let normal = text.replaceAll(`-${key}`, '-CLONE');
  // A node port may have the same number.
  for (const [name, port] of Object.entries(portBlock(key)))
    normal = normal.replaceAll(new RegExp(`(?<!nodePort":)\\b${port}\\b`, 'g'), `PORT_${name}`);
  return (
    normal
      // The other lines of a file may move.
      .replaceAll(/^@@ .* @@$/gm, '@@')
      .replaceAll(/:inputs-[0-9a-f]{12}/g, ':inputs-DIGEST')
      .replaceAll(/unshare --user --map-user=\d+ --map-group=\d+ /g, '')
      .replaceAll(`${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`, 'OS-ARCH')
      // Except in a list of platforms.
      .replace(new RegExp(`${process.platform}-${process.arch}(?!,)`, 'g'), 'PLATFORM')
  );
}

const folderOf = (provider: ProviderName): string => join(root, 'tests/golden', provider);

export function stored(provider: ProviderName): Map<string, string> {
  const read = (file: string) => readFileSync(join(folderOf(provider), file), 'utf8');
  return new Map(readdirSync(folderOf(provider)).map((file) => [file.replace(/\.txt$/, ''), read(file)]));
}

export function store(provider: ProviderName, transcripts: ReadonlyMap<string, string>): void {
  rmSync(folderOf(provider), { recursive: true, force: true });
  mkdirSync(folderOf(provider), { recursive: true });
  for (const [name, text] of transcripts) writeFileSync(join(folderOf(provider), `${name}.txt`), text);
}
