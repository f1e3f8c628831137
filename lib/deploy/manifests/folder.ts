import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { entriesBelow, ifThere, textIfThere } from '../../ground/if-there.ts';
import { type NewFile, replaceFiles } from '../../settings/replace-files.ts';

/** The first line of every rendered file. */
export const headOf = (environment: string): string =>
  `# Rendered from environment ${environment} by the task \`render\`, which replaces it.`;

/**
 * The files of an earlier rendering by path in the folder; empty if there is no folder. Throws `UsageError` if the
 * folder has anything else.
 */
export async function renderedFiles(folder: string, environment: string): Promise<Map<string, string>> {
  const entries = (await entriesBelow(folder)) ?? [];
  const files = new Map<string, string>();
  for (const entry of entries.filter((entry) => !entry.isDirectory())) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const text = entry.isFile() ? ((await textIfThere(path)) ?? '') : '';
    const name = relative(folder, path);
    if (!text.startsWith(`${headOf(environment)}\n`))
      throw new UsageError({
        what: `${folder} has ${name}, which was not rendered from environment \`${environment}\``,
        why: '`render` replaces the whole folder',
        advice: 'name another folder, or move that file away',
      });
    files.set(name, text);
  }
  return files;
}

/** Makes the folder hold exactly these files: all of them, or what it held before if one cannot be written. */
export async function replaceFolder(
  folder: string,
  before: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, string>,
): Promise<'changed' | 'unchanged'> {
  const stale = [...before.keys()].filter((name) => !files.has(name));
  const written = [...files].filter(([name, text]) => before.get(name) !== text);
  const changes: NewFile[] = [
    ...written.map(([name, text]) => ({ path: join(folder, name), text })),
    ...stale.map((name) => ({ path: join(folder, name), text: undefined })),
  ];
  if (changes.length === 0) return 'unchanged';
  await replaceFiles(changes);
  for (const name of stale) {
    // Fails at a folder with files.
    for (let path = dirname(join(folder, name)); path !== folder; path = dirname(path))
      await rmdir(path).catch(() => {});
  }
  return 'changed';
}

/** The path of the folder in its git repository. Throws `UsageError` if it is in none. */
export async function pathInRepository(folder: string): Promise<string> {
  for (let top = resolve(folder); ; top = dirname(top)) {
    if ((await ifThere(readdir(top)))?.includes('.git')) return relative(top, resolve(folder));
    if (top === dirname(top)) break;
  }
  throw new UsageError({
    what: `${folder} is not in a git repository`,
    why: 'Argo CD and Flux are given its path in the repository that they read',
    advice: 'name a folder in a clone of that repository',
  });
}
