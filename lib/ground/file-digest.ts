import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { entriesBelow, ifThere } from './if-there.ts';
import { isLeftover } from './leftover-files.ts';

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
    .filter((entry) => !isLeftover(entry.name))
    .map(async (entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1);
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
