import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cacheError } from './cache.ts';

/**
 * Copies a folder, or one file into a new folder. Copies file by file: Go's module folders are read-only, and the copy must be
 * removable. Throws `TaskError` if the cache cannot be written.
 */
export function copyFiles(from: string, to: string): void {
  try {
    mkdirSync(to);
    if (statSync(from).isFile()) {
      copyFileSync(from, join(to, basename(from)));
      return;
    }
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      const [source, target] = [join(from, entry.name), join(to, entry.name)];
      if (entry.isDirectory()) copyFiles(source, target);
      else copyFileSync(source, target);
    }
  } catch (error) {
    throw cacheError(error);
  }
}
