import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { access, constants, mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';
import { acquireLock, spaceAdvice, TaskError } from '@k8s-deployment/runner';
import type { PinnedTool } from './manifest.ts';
import { lastWords, type ToolContext, type WayResult } from './tool-context.ts';

/** This platform in Node's terms, such as `linux-x64`; with `-musl` (Alpine), glibc programs do not run. */
export const platform = [
  process.platform,
  process.arch,
  ...(usesMusl(process.execPath) ? ['musl'] : []),
].join('-');

/** True if a Linux program uses musl: its loader is named near the beginning (ELF's PT_INTERP). */
export function usesMusl(program: string): boolean {
  return beginningOf(program, 4096).includes('/ld-musl-');
}

/** The first bytes of a file, as latin1. */
export function beginningOf(path: string, length: number): string {
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(length);
    readSync(file, start);
    return start.toString('latin1');
  } finally {
    closeSync(file);
  }
}

/** The folder shared by all clones of a user. Ignores a relative `XDG_CACHE_HOME`, as its specification says. */
export function cacheFolder(): string {
  const configured = process.env.XDG_CACHE_HOME;
  const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.cache');
  return join(base, 'k8s-deployment');
}

/** The name of an installed tool's entry, a folder that exists only when complete; each recipe has its own. */
export function entryId({ name, version }: PinnedTool, way: string, recipe: string): string {
  const hash = createHash('sha256').update(recipe).digest('hex').slice(0, 12);
  return `${name}-${version}-${way}-${hash}`;
}

/** The program of an entry; undefined if the entry does not exist or is damaged, as by a crash of the machine. */
export function findEntry(id: string): string | undefined {
  const folder = entryFolder(id);
  try {
    const [name = ''] = readFileSync(join(folder, 'program'), 'utf8').split('\n');
    const program = join(folder, name);
    return isExecutable(program) && statSync(program).size > 0 ? program : undefined;
  } catch {
    return undefined;
  }
}

/** True for an executable file. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Fills an entry. `make` puts the tool into an empty folder and returns the program's path inside, or why it failed.
 * The folder becomes the entry atomically, so that nobody sees a partial tool. Removes remains of killed
 * runs. Of several processes, one works and the others wait. Throws `TaskError` if the cache is not writable.
 */
export async function fillEntry(
  id: string,
  context: ToolContext,
  make: (folder: string) => Promise<WayResult>,
): Promise<WayResult> {
  const root = cacheFolder();
  const temporary = join(root, 'temporary', platform);
  try {
    for (const folder of [temporary, join(root, 'locks'), join(root, 'tools', platform)]) {
      await mkdir(folder, { recursive: true });
      await access(folder, constants.W_OK);
    }
  } catch (error) {
    // On a read-only file system, Node reports ENOENT for a missing parent too.
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw cacheError(missing ? Object.assign(error as Error, { code: 'EROFS' }) : error);
  }
  const lock = await acquireLock(join(root, 'locks', `${platform}-${id}`), {
    task: `install-tool ${id}`,
    wait: true,
    onWait: ({ pid, elsewhere = '' }) =>
      context.log(`${id}: waiting for process ${pid}, which is installing it${elsewhere}`),
    signal: context.signal,
  });
  try {
    const existing = findEntry(id);
    if (existing !== undefined) return { program: existing };
    const prefix = `${id}~`;
    // Remains of killed runs: the lock excludes others.
    for (const name of await readdir(temporary))
      if (name.startsWith(prefix)) await rm(join(temporary, name), { recursive: true, force: true });
    const folder = await mkdtemp(join(temporary, prefix));
    try {
      const made = await make(folder);
      if ('reason' in made) return made;
      await writeFile(join(folder, 'program'), `${made.program}\n`);
      await writeToDisk(folder);
      // A folder without its program would block the rename.
      await rm(entryFolder(id), { recursive: true, force: true });
      await rename(folder, entryFolder(id));
      return { program: join(entryFolder(id), made.program) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    throw cacheError(error);
  } finally {
    await lock.release();
  }
}

/** Without it, a crash of the machine may leave an entry with empty files. */
async function writeToDisk(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    // A link may lead to nothing.
    const file = await open(join(folder, name)).catch(() => undefined);
    await file?.sync().finally(() => file.close());
  }
}

/** A `TaskError` for a full disk or a folder without write access; any other error unchanged. */
export function cacheError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull((error as Error).message, error);
  if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST'].includes(code ?? '')) return error;
  return new TaskError({
    what: `cannot write to the tool cache ${cacheFolder()}`,
    why: (error as Error).message,
    advice: 'make it writable, or set XDG_CACHE_HOME to another folder',
    cause: error,
  });
}

/** Throws `TaskError` if a program's stderr says that the disk is full. */
export function refuseFullDisk(stderr: string): void {
  if (spaceAdvice(stderr) !== undefined) throw diskFull(lastWords(stderr));
}

function diskFull(why: string, cause?: unknown): TaskError {
  return new TaskError({
    what: `no space left for the tool cache ${cacheFolder()}`,
    why,
    advice:
      'free some space (about 8 GiB for a build of every tool), or set XDG_CACHE_HOME to a folder on another disk',
    cause,
  });
}

const entryFolder = (id: string): string => join(cacheFolder(), 'tools', platform, id);

/**
 * Copies a folder, or one file into a new folder. Not a recursive copy: Go's module folders are read-only, and the
 * copy must be removable. Throws `TaskError` if the cache is not writable.
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
