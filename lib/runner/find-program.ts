import { closeSync, existsSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';

/** Whether the system itself can start a file, by the file's identity; a program that is replaced is looked at again. */
const startable = new Map<string, boolean>();

/**
 * The file that a shell would start for this name: with a slash the path itself, else the first on PATH. Undefined also
 * for what only a shell can start: a script without `#!` is run by the shell that meets it.
 */
export function findProgram(name: string, path: string | undefined, cwd: string): string | undefined {
  if (name.includes('/')) return usable(resolve(cwd, name));
  // Without a PATH each shell has its own idea of one.
  if (path === undefined || path === '') return undefined;
  for (const folder of path.split(':')) {
    const file = resolve(cwd, folder, name);
    const stats = statsOf(file);
    // The shell goes on to the next folder for one that it may not execute.
    if (stats?.isFile() && (stats.mode & 0o111) !== 0) return isStartable(file, stats) ? file : undefined;
  }
  return undefined;
}

function usable(file: string): string | undefined {
  const stats = statsOf(file);
  return stats?.isFile() && isStartable(file, stats) ? file : undefined;
}

function statsOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch {
    // A folder that is not ours to look into.
    return undefined;
  }
}

function isStartable(file: string, stats: Stats): boolean {
  const identity = `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}`;
  let known = startable.get(identity);
  if (known === undefined) {
    known = beginsLikeProgram(file);
    startable.set(identity, known);
  }
  return known;
}

/** `#!` with a program that exists, or the magic number of a binary (ELF, Mach-O), which no text begins with. */
function beginsLikeProgram(file: string): boolean {
  const head = Buffer.alloc(256);
  try {
    const descriptor = openSync(file, 'r');
    try {
      if (readSync(descriptor, head, 0, head.length, 0) < 4) return false;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
  const [, interpreter] = /^#![ \t]*([^\s\0]+)/.exec(head.toString()) ?? [];
  return interpreter === undefined ? head[0] === 0x7f || (head[0] ?? 0) >= 0x80 : existsSync(interpreter);
}
