import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { isLeftover } from './file-names.ts';
import { entriesBelow, ifThere } from './if-there.ts';

/**
 * Paths of the files below a folder, relative to the project, sorted, without leftovers; follows links. Empty if the
 * folder does not exist. `above`: real paths of the folders that led here, to stop at a loop.
 */
export async function filesBelow(
  root: string,
  folder: string,
  above: readonly string[] = [],
): Promise<string[]> {
  const real = await ifThere(realpath(join(root, folder)));
  if (real === undefined || above.includes(real)) return [];
  const found = ((await entriesBelow(join(root, folder))) ?? [])
    .filter(({ entry }) => !isLeftover(entry.name))
    .map(async ({ entry, path: whole }) => {
      const path = whole.slice(root.length + 1);
      if (!entry.isSymbolicLink()) return entry.isFile() ? [path] : [];
      const target = await ifThere(stat(join(root, path)));
      if (target?.isDirectory()) return filesBelow(root, path, [...above, real]);
      return target?.isFile() ? [path] : [];
    });
  return (await Promise.all(found)).flat().sort();
}

/** SHA-256 (hexadecimal) of words and of files by path and content; a missing file counts as empty. */
export async function fileDigest(
  root: string,
  files: readonly string[],
  ...words: readonly string[]
): Promise<string> {
  const contents = await Promise.all(
    files.map(
      async (file) => (await ifThere(readFile(join(root, file)), join(root, file))) ?? Buffer.alloc(0),
    ),
  );
  const hash = createHash('sha256').update(JSON.stringify(words));
  // With lengths, so that content moved from one file to the next changes the digest.
  for (const [index, file] of files.entries()) {
    const content = contents[index] ?? Buffer.alloc(0);
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

/** A file by its path relative to the project. */
type ProjectFile = { readonly path: string; readonly text: string | Buffer };

/**
 * Throws `TaskError` if a file has Windows line ends. YAML ignores them, but a script in a ConfigMap fails, and SQL and
 * policies look changed. .gitattributes keeps git from creating them.
 */
export function checkLineEnds(files: readonly ProjectFile[]): void {
  const wrong = files.filter(({ text }) => text.includes('\r\n'));
  if (wrong.length === 0) return;
  const others = wrong.length > 1 ? ` and ${wrong.length - 1} more` : '';
  throw new TaskError({
    what: `${wrong[0]?.path}${others} with Windows line ends`,
    why: 'the text is used in the cluster, where a carriage return breaks scripts and statements',
    advice: `rewrite with plain line ends: git ls-files -z charts vault | xargs -0 perl -pi -e 's/\\r$//'`,
  });
}

/** Throws `UsageError` unless this folder can be written to, or created. Creates nothing. */
export async function checkWritable(path: string): Promise<void> {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    // Only an attempt tells, as for root and on read-only disks.
    await rmdir(await mkdtemp(join(folder, '.probe-')));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError({
      what: `cannot write to ${path}`,
      why:
        code === 'ENOTDIR' ? `${folder} is a file` : `${folder} is not writable (${message.split(',')[0]})`,
      advice: 'name a folder that you may write to',
    });
  }
}
